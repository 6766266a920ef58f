/* money.c: amounts in minor units; every product is exact in 128 bits and rounded once. */
#include "base/money.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"

typedef __int128 wide_t;

static const int64_t powers[] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};
#define SCALE_MAX 9

static bool in_range(wide_t amount) {
    return amount >= -MONEY_MAX && amount <= MONEY_MAX;
}

/* Decimal text in parts: sign, the digits before the point and those behind it. */
typedef struct decimal {
    bool negative;
    span_t whole, fraction; /* fraction without the zeros at its end */
} decimal_t;

static bool all_digits(span_t text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    }
    return true;
}

static int split_decimal(span_t text, decimal_t *out) {
    out->negative = text.len && text.ptr[0] == '-';
    if (out->negative) text.ptr++, text.len--;
    bool point = text.len && memchr(text.ptr, '.', text.len);
    out->whole = span_cut(&text, '.');
    out->fraction = text;
    if (!out->whole.len || (point && !out->fraction.len)) return ERR_INVALID;
    if (!all_digits(out->whole) || !all_digits(out->fraction)) return ERR_INVALID;
    while (out->fraction.len && out->fraction.ptr[out->fraction.len - 1] == '0')
        out->fraction.len--;
    return 0;
}

/* whole.fraction x 10^scale; the fraction has at most `scale` digits. */
static int scaled(const decimal_t *decimal, int scale, int64_t *out) {
    uint64_t whole, fraction = 0;
    if (span_to_u64(decimal->whole, &whole) != 0) return ERR_RANGE;
    if (decimal->fraction.len) span_to_u64(decimal->fraction, &fraction);
    fraction *= (uint64_t)powers[scale - (int)decimal->fraction.len];
    unsigned __int128 value = (unsigned __int128)whole * (uint64_t)powers[scale] + fraction;
    if (value > INT64_MAX) return ERR_RANGE;
    *out = decimal->negative ? -(int64_t)value : (int64_t)value;
    return 0;
}

int money_parse(span_t text, int digits, int64_t *out) {
    decimal_t decimal;
    int64_t amount;
    if (digits < 0 || digits > MONEY_DIGITS_MAX) return ERR_INVALID;
    if (split_decimal(text, &decimal) != 0) return ERR_INVALID;
    if (decimal.fraction.len > (size_t)digits) return ERR_PRECISION;
    if (scaled(&decimal, digits, &amount) != 0 || !in_range(amount)) return ERR_RANGE;
    *out = amount;
    return 0;
}

void money_print(buf_t *buf, int64_t amount, int digits) {
    uint64_t value = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
    uint64_t unit = (uint64_t)powers[digits < 0 ? 0 : digits > SCALE_MAX ? SCALE_MAX : digits];
    if (amount < 0) buf_char(buf, '-');
    buf_u64(buf, value / unit);
    if (unit == 1) return;
    buf_char(buf, '.');
    for (uint64_t rest = value % unit; unit > 1; rest %= unit) {
        unit /= 10;
        buf_char(buf, (char)('0' + rest / unit));
    }
}

int rate_parse(span_t text, rate_t *out) {
    decimal_t decimal;
    int64_t units;
    if (split_decimal(text, &decimal) != 0) return ERR_INVALID;
    if (decimal.fraction.len > SCALE_MAX) return ERR_RANGE;
    int scale = (int)decimal.fraction.len;
    if (scaled(&decimal, scale, &units) != 0) return ERR_RANGE;
    *out = (rate_t){units, scale};
    return 0;
}

/* The fewest significant digits that read back as the same double, as "-d.ddde±xx". */
static void print_shortest(double number, char *text, size_t size) {
    for (int digits = 0; digits < 17; digits++) {
        snprintf(text, size, "%.*e", digits, number);
        if (strtod(text, NULL) == number) return;
    }
}

/* digits / 10^cut, rounded half-even; digits has 17 digits at most. */
static int64_t cut_digits(int64_t digits, int cut) {
    if (cut > 18) return 0;
    int64_t power = 1;
    while (cut--)
        power *= 10;
    int64_t quotient = digits / power, rest = digits % power;
    return quotient + (rest > power - rest || (rest == power - rest && quotient % 2));
}

/* digits x 10^exponent. Rounds to SCALE_MAX digits behind the point, because 0.1 + 0.2 is meant to be 0.3. */
static int rate_of_digits(bool negative, int64_t digits, int exponent, rate_t *out) {
    if (exponent < -SCALE_MAX) {
        digits = cut_digits(digits, -exponent - SCALE_MAX);
        exponent = -SCALE_MAX;
    }
    for (; exponent > 0 && digits; exponent--) {
        if (__builtin_mul_overflow(digits, 10, &digits)) return ERR_RANGE;
    }
    for (; exponent < 0 && digits % 10 == 0; exponent++)
        digits /= 10;
    *out = (rate_t){negative ? -digits : digits, exponent < 0 ? -exponent : 0};
    return 0;
}

/* Up to here a whole number's shortest decimal text is the number itself. */
#define WHOLE_MOST 1e15

int rate_of_double(double number, rate_t *out) {
    if (!isfinite(number)) return ERR_INVALID;
    if (number == floor(number) && fabs(number) < WHOLE_MOST) {
        *out = (rate_t){(int64_t)number, 0};
        return 0;
    }
    char text[32];
    print_shortest(number, text, sizeof text);
    const char *at = text + (text[0] == '-');
    int64_t digits = 0;
    int exponent = 0;
    for (bool behind = false; *at != 'e'; at++) {
        if (*at < '0' || *at > '9') {
            behind = true;
            continue;
        }
        digits = digits * 10 + (*at - '0');
        if (behind) exponent--;
    }
    return rate_of_digits(text[0] == '-', digits, exponent + atoi(at + 1), out);
}

/* Most amounts fit a machine word, whose division takes a tenth of the time. */
static wide_t quotient_of(wide_t a, wide_t b) {
    bool narrow = a == (int64_t)a && b == (int64_t)b;
    return narrow ? (int64_t)a / (int64_t)b : a / b;
}

/* a / b for b > 0, rounded; half-up goes away from zero on both sides. */
static wide_t divide(wide_t a, wide_t b, money_rounding_t rounding) {
    wide_t quotient = quotient_of(a, b), rest = a - quotient * b;
    if (rest < 0) rest = -rest;
    bool up =
        rest > b - rest || (rest == b - rest && (rounding == MONEY_HALF_UP || quotient % 2 != 0));
    return up ? quotient + (a < 0 ? -1 : 1) : quotient;
}

static int divide_in_range(wide_t a, wide_t b, money_rounding_t rounding, int64_t *out) {
    if (b <= 0) return ERR_RANGE;
    wide_t value = divide(a, b, rounding);
    if (!in_range(value)) return ERR_RANGE;
    *out = (int64_t)value;
    return 0;
}

static bool rate_valid(rate_t rate, int divisor) {
    return rate.scale >= 0 && rate.scale <= SCALE_MAX && divisor > 0;
}

int rate_apply(int64_t amount, rate_t rate, int divisor, money_rounding_t rounding, int64_t *out) {
    if (!rate_valid(rate, divisor) || !in_range(amount)) return ERR_RANGE;
    return divide_in_range(
        (wide_t)amount * rate.units, (wide_t)divisor * powers[rate.scale], rounding, out);
}

int rate_contained(
    int64_t amount, rate_t rate, int divisor, money_rounding_t rounding, int64_t *out) {
    if (!rate_valid(rate, divisor) || !in_range(amount)) return ERR_RANGE;
    wide_t whole = (wide_t)divisor * powers[rate.scale] + rate.units;
    return divide_in_range((wide_t)amount * rate.units, whole, rounding, out);
}

int money_add(int64_t a, int64_t b, int64_t *out) {
    wide_t sum = (wide_t)a + b;
    if (!in_range(sum)) return ERR_RANGE;
    *out = (int64_t)sum;
    return 0;
}

int money_mul(int64_t a, int64_t b, int64_t *out) {
    wide_t product = (wide_t)a * b;
    if (!in_range(product)) return ERR_RANGE;
    *out = (int64_t)product;
    return 0;
}

static int64_t weight_of(const int64_t *weights, size_t i) {
    return weights[i] < 0 ? 0 : weights[i] > MONEY_MAX ? MONEY_MAX : weights[i];
}

/* The greatest remainder that at least `units` parts reach; units > 0, and so many parts have a remainder above 0. The
   bounds jump to the remainders next to the middle, so that few rounds are left. */
static int64_t cut_off(const int64_t *remainders, size_t n, size_t units, int64_t most) {
    int64_t low = 1, high = most;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2, above = high, below = low;
        size_t reach = 0;
        for (size_t i = 0; i < n; i++) {
            int64_t rest = remainders[i];
            bool reaches = rest >= middle;
            reach += reaches;
            above = reaches && rest < above ? rest : above;
            below = !reaches && rest > below ? rest : below;
        }
        if (reach >= units)
            low = above;
        else
            high = below;
    }
    return low;
}

/* A weight's part, rounded down; rest: the remainder of the division. */
static int64_t part_of(uint64_t size, int64_t weight, wide_t sum, int64_t *rest) {
    wide_t product = (wide_t)size * weight, part = quotient_of(product, sum);
    *rest = (int64_t)(product - part * sum);
    return (int64_t)part;
}

/* The parts first hold the remainders, from which the cut-off is found without a second array; then each part is its
   share rounded down, and one more for those above the cut-off and the first of those at it. */
void money_split(int64_t total, const int64_t *weights, int64_t *parts, size_t n) {
    uint64_t size = total < 0 ? 0 - (uint64_t)total : (uint64_t)total;
    wide_t sum = 0, remainders = 0;
    for (size_t i = 0; i < n; i++) {
        sum += weight_of(weights, i);
        parts[i] = 0;
    }
    if (!sum) {
        if (n) parts[0] = total;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        part_of(size, weight_of(weights, i), sum, &parts[i]);
        remainders += parts[i];
    }
    size_t units = (size_t)(remainders / sum), above = 0;
    int64_t cut = units ? cut_off(parts, n, units, (int64_t)(sum - 1)) : INT64_MAX;
    for (size_t i = 0; i < n; i++)
        above += parts[i] > cut;
    for (size_t i = 0, at_cut = units - above; i < n; i++) {
        bool extra = parts[i] > cut || (parts[i] == cut && at_cut > 0 && at_cut--);
        int64_t rest, share = part_of(size, weight_of(weights, i), sum, &rest) + (extra ? 1 : 0);
        parts[i] = total < 0 ? -share : share;
    }
}

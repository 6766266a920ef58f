/* money.h: exact amounts in minor units, rates as scaled integers, and named rounding; no double anywhere. */
#ifndef PERIGEE_BASE_MONEY_H
#define PERIGEE_BASE_MONEY_H
#include "base/bytes.h"

/* Amounts are int64 minor units within ±MONEY_MAX, so that sums of ten thousand lines cannot overflow. */
#define MONEY_MAX INT64_C(100000000000000)
#define MONEY_DIGITS_MAX 4

typedef enum { MONEY_HALF_UP, MONEY_HALF_EVEN } money_rounding_t;

/* A rate: units / 10^scale. 8.25 is {825, 2}. */
typedef struct rate {
    int64_t units;
    int scale; /* 0..9 */
} rate_t;

/* The number of minor digits of an ISO 4217 code (USD 2, JPY 0, KWD 3), or -1 when there is none of that code. */
int currency_digits(span_t code);
/* "29.99" with digits 2 is 2999; also "-1", "29.9", "1e3" is refused. Text of a JSON number or string.
   ERR_INVALID, ERR_PRECISION (more digits than the currency, unless they are zeros), ERR_RANGE. */
int money_parse(span_t text, int digits, int64_t *out);
/* "29.99", "3000" for digits 0; always all digits. */
void money_print(buf_t *buf, int64_t amount, int digits);
/* Decimal text ("8.25", "0.0825", "15") to a rate; up to 9 digits behind the point. ERR_INVALID, ERR_RANGE. */
int rate_parse(span_t text, rate_t *out);
/* The rate of a double's shortest decimal text (8.25 is exactly 8.25), rounded half-even to 9 digits behind the point
   (0.1 + 0.2 is 0.3). ERR_INVALID for NaN and infinities, ERR_RANGE. */
int rate_of_double(double number, rate_t *out);
/* amount x rate / divisor, rounded once, in 128 bits. divisor 100 for a percentage, 1 for a fraction. ERR_RANGE. */
int rate_apply(int64_t amount, rate_t rate, int divisor, money_rounding_t rounding, int64_t *out);
/* The tax contained in a gross amount: amount x rate / (divisor + rate), rounded once. ERR_RANGE. */
int rate_contained(
    int64_t amount, rate_t rate, int divisor, money_rounding_t rounding, int64_t *out);
/* Sum with overflow and MONEY_MAX checked. */
int money_add(int64_t a, int64_t b, int64_t *out);
int money_mul(int64_t a, int64_t b, int64_t *out);
/* Splits total over n weights (0 to MONEY_MAX) by largest remainder, ties to the earlier; the parts add up to total
   exactly. All weights 0: everything to the first. */
void money_split(int64_t total, const int64_t *weights, int64_t *parts, size_t n);

#endif

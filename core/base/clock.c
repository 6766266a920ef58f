/* clock.c: reading the clocks, and RFC 3339 and RFC 9110 dates from and to milliseconds. */
#include "base/clock.h"
#include <stdio.h>
#include <time.h>
#include "base/civil.h"
#include "base/err.h"

#define DAY_MS INT64_C(86400000)
/* The years 0000 to 9999: what four digits can say. */
#define LEAST_MS INT64_C(-62167219200000)
#define MOST_MS INT64_C(253402300799999)

uint64_t clock_mono_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t clock_wall_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void put_digits(char *at, int value, int count) {
    while (count--) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

static int64_t clamp(int64_t wall_ms) {
    return wall_ms < LEAST_MS ? LEAST_MS : wall_ms > MOST_MS ? MOST_MS : wall_ms;
}

void clock_iso(int64_t wall_ms, char out[25]) {
    civil_t day;
    wall_ms = clamp(wall_ms);
    int64_t days = civil_floor(wall_ms, DAY_MS);
    int ms = (int)(wall_ms - days * DAY_MS);
    civil_from_days(days, &day);
    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    put_digits(out, day.year, 4);
    put_digits(out + 5, day.month, 2);
    put_digits(out + 8, day.day, 2);
    put_digits(out + 11, ms / 3600000, 2);
    put_digits(out + 14, ms / 60000 % 60, 2);
    put_digits(out + 17, ms / 1000 % 60, 2);
    put_digits(out + 20, ms % 1000, 3);
}

void clock_http_date(int64_t wall_ms, char out[30]) {
    static const char days_of_week[] = "MonTueWedThuFriSatSun";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    civil_t day;
    wall_ms = clamp(wall_ms);
    int64_t days = civil_floor(wall_ms, DAY_MS);
    int seconds = (int)((wall_ms - days * DAY_MS) / 1000);
    civil_from_days(days, &day);
    memcpy(out, "Mon, 00 Jan 0000 00:00:00 GMT", 30);
    memcpy(out, days_of_week + 3 * (civil_weekday(days) - 1), 3);
    put_digits(out + 5, day.day, 2);
    memcpy(out + 8, months + 3 * (day.month - 1), 3);
    put_digits(out + 12, day.year, 4);
    put_digits(out + 17, seconds / 3600, 2);
    put_digits(out + 20, seconds / 60 % 60, 2);
    put_digits(out + 23, seconds % 60, 2);
}

/* Takes `count` digits and, when `end` is not 0, that character behind them; -1 when they are not there. */
static int take(span_t *text, size_t count, char end) {
    int value = 0;
    if (text->len < count + (end ? 1 : 0)) return -1;
    for (size_t i = 0; i < count; i++) {
        if (text->ptr[i] < '0' || text->ptr[i] > '9') return -1;
        value = value * 10 + (text->ptr[i] - '0');
    }
    if (end && (text->ptr[count] & (end >= 'A' ? ~0x20 : ~0)) != end) return -1;
    text->ptr += count + (end ? 1 : 0);
    text->len -= count + (end ? 1 : 0);
    return value;
}

/* ".123456…": milliseconds, what is finer is cut off. */
static int take_fraction(span_t *text, int *ms) {
    *ms = 0;
    if (!text->len || text->ptr[0] != '.') return 0;
    size_t digits = 0;
    for (text->ptr++, text->len--; text->len && text->ptr[0] >= '0' && text->ptr[0] <= '9';
         text->ptr++, text->len--) {
        if (digits++ < 3) *ms = *ms * 10 + (text->ptr[0] - '0');
    }
    for (size_t i = digits; i < 3; i++)
        *ms *= 10;
    return digits ? 0 : ERR_INVALID;
}

static int take_offset(span_t text, int *minutes) {
    *minutes = 0;
    if (text.len == 1 && (text.ptr[0] | 0x20) == 'z') return 0;
    if (text.len != 6 || (text.ptr[0] != '+' && text.ptr[0] != '-')) return ERR_INVALID;
    int sign = text.ptr[0] == '-' ? -1 : 1;
    text.ptr++, text.len--;
    int hours = take(&text, 2, ':'), rest = take(&text, 2, 0);
    if (hours < 0 || hours > 23 || rest < 0 || rest > 59) return ERR_INVALID;
    *minutes = sign * (hours * 60 + rest);
    return 0;
}

int clock_parse_iso(span_t text, int64_t *wall_ms) {
    int year = take(&text, 4, '-'), month = take(&text, 2, '-'), day = take(&text, 2, 'T');
    int hour = take(&text, 2, ':'), minute = take(&text, 2, ':'), second = take(&text, 2, 0);
    int ms, offset;
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > civil_month_days(year, month))
        return ERR_INVALID;
    /* 60 is a leap second; it becomes the first of the next minute. */
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return ERR_INVALID;
    if (take_fraction(&text, &ms) != 0 || take_offset(text, &offset) != 0) return ERR_INVALID;
    int64_t minutes = civil_days(year, month, day) * 1440 + hour * 60 + minute - offset;
    *wall_ms = (minutes * 60 + second) * 1000 + ms;
    return 0;
}

/* tzrule.c: parses a POSIX TZ string and tells standard from summer time by it. */
#include "base/tzrule.h"
#include "base/civil.h"
#include "base/err.h"

static bool eat(span_t *text, char c) {
    if (!text->len || text->ptr[0] != c) return false;
    text->ptr++, text->len--;
    return true;
}

/* A number of at most three digits; ERR_INVALID when there is none or it is above most. */
static int take_number(span_t *text, int most, int *out) {
    size_t digits = 0;
    for (*out = 0; digits < 3 && digits < text->len; digits++) {
        char c = text->ptr[digits];
        if (c < '0' || c > '9') break;
        *out = *out * 10 + (c - '0');
    }
    text->ptr += digits, text->len -= digits;
    return digits && *out <= most ? 0 : ERR_INVALID;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int take_time(span_t *text, int *out) {
    int hours, minutes = 0, seconds = 0;
    bool negative = eat(text, '-');
    if (!negative) eat(text, '+');
    if (take_number(text, 167, &hours) != 0) return ERR_INVALID;
    if (eat(text, ':') && take_number(text, 59, &minutes) != 0) return ERR_INVALID;
    if (eat(text, ':') && take_number(text, 59, &seconds) != 0) return ERR_INVALID;
    int total = hours * 3600 + minutes * 60 + seconds;
    *out = negative ? -total : total;
    return 0;
}

/* "CEST" or "<+03>": what it says does not matter here. */
static int skip_name(span_t *text) {
    if (eat(text, '<')) {
        while (text->len && text->ptr[0] != '>')
            text->ptr++, text->len--;
        return eat(text, '>') ? 0 : ERR_INVALID;
    }
    size_t letters = 0;
    while (letters < text->len && (text->ptr[letters] | 0x20) >= 'a' &&
           (text->ptr[letters] | 0x20) <= 'z')
        letters++;
    text->ptr += letters, text->len -= letters;
    return letters >= 3 ? 0 : ERR_INVALID;
}

static int take_month_day(span_t *text, tzrule_day_t *out) {
    out->form = 'M';
    if (take_number(text, 12, &out->month) != 0 || !eat(text, '.')) return ERR_INVALID;
    if (take_number(text, 5, &out->week) != 0 || !eat(text, '.')) return ERR_INVALID;
    if (take_number(text, 6, &out->day) != 0) return ERR_INVALID;
    return out->month && out->week ? 0 : ERR_INVALID;
}

static int take_day(span_t *text, tzrule_day_t *out) {
    int err;
    *out = (tzrule_day_t){.seconds = 7200};
    if (!eat(text, ',')) return ERR_INVALID;
    if (eat(text, 'M')) {
        err = take_month_day(text, out);
    } else {
        out->form = eat(text, 'J') ? 'J' : '0';
        err = take_number(text, 365, &out->day);
        if (out->form == 'J' && !out->day) err = ERR_INVALID;
    }
    if (!err && eat(text, '/')) err = take_time(text, &out->seconds);
    return err;
}

/* POSIX counts offsets west of Greenwich. */
int tzrule_parse(span_t text, tzrule_t *out) {
    int west;
    *out = (tzrule_t){0};
    if (skip_name(&text) != 0 || take_time(&text, &west) != 0) return ERR_INVALID;
    out->standard = -west;
    if (!text.len) return 0;
    out->has_summer = true;
    out->summer = out->standard + 3600;
    if (skip_name(&text) != 0) return ERR_INVALID;
    if (text.len && text.ptr[0] != ',') {
        if (take_time(&text, &west) != 0) return ERR_INVALID;
        out->summer = -west;
    }
    if (take_day(&text, &out->start) != 0 || take_day(&text, &out->end) != 0) return ERR_INVALID;
    return text.len ? ERR_INVALID : 0;
}

/* Days since 1970 of the rule's day in a year. */
static int64_t day_in(const tzrule_day_t *day, int year) {
    if (day->form == '0') return civil_days(year, 1, 1) + day->day;
    if (day->form == 'J') {
        bool leap = civil_leap(year) && day->day > 59;
        return civil_days(year, 1, 1) + day->day - 1 + (leap ? 1 : 0);
    }
    int64_t first = civil_days(year, day->month, 1);
    int ahead = (day->day - civil_weekday(first) % 7 + 7) % 7; /* Sunday is 0 in POSIX */
    int of_month = 1 + ahead + (day->week - 1) * 7;
    if (of_month > civil_month_days(year, day->month)) of_month -= 7;
    return first + of_month - 1;
}

/* The UTC second at which summer time starts (ends); the rule's time of day is in the offset that holds before. */
static int64_t moment(const tzrule_day_t *day, int year, int offset_before) {
    return day_in(day, year) * 86400 + day->seconds - offset_before;
}

int tzrule_offset(const tzrule_t *rule, int64_t seconds) {
    if (!rule->has_summer) return rule->standard;
    civil_t date;
    civil_from_days(civil_floor(seconds + rule->standard, 86400), &date);
    int64_t start = moment(&rule->start, date.year, rule->standard);
    int64_t end = moment(&rule->end, date.year, rule->summer);
    bool summer =
        start < end ? seconds >= start && seconds < end : seconds >= start || seconds < end;
    return summer ? rule->summer : rule->standard;
}

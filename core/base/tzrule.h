/* tzrule.h: the rule for the future of a zone ("CET-1CEST,M3.5.0,M10.5.0/3", POSIX TZ as of RFC 8536). */
#ifndef PERIGEE_BASE_TZRULE_H
#define PERIGEE_BASE_TZRULE_H
#include "base/bytes.h"

/* A day of the year: 'M' month.week.weekday, 'J' 1..365 without leap days, '0' 0..365 with them; and a time of day. */
typedef struct tzrule_day {
    char form;
    int month, week, day;
    int seconds; /* of local time; may lie in another day */
} tzrule_day_t;

typedef struct tzrule {
    int standard, summer; /* seconds east of UTC */
    bool has_summer;
    tzrule_day_t start, end; /* of summer time */
} tzrule_t;

int tzrule_parse(span_t text, tzrule_t *out); /* 0 or ERR_INVALID */
int tzrule_offset(const tzrule_t *rule, int64_t seconds);

#endif

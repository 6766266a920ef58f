/* clock.h: wall time, RFC 3339 text, and the calendar of a time zone. */
#ifndef PERIGEE_BASE_CLOCK_H
#define PERIGEE_BASE_CLOCK_H
#include "base/bytes.h"

uint64_t clock_mono_ns(void); /* CLOCK_MONOTONIC */
int64_t clock_wall_ms(void);  /* milliseconds since 1970, UTC */
/* "2024-11-21T10:00:00.000Z", 24 characters and a NUL. */
void clock_iso(int64_t wall_ms, char out[25]);
/* RFC 3339 with Z or an offset; ERR_INVALID. */
int clock_parse_iso(span_t text, int64_t *wall_ms);
/* "Thu, 21 Nov 2024 10:00:00 GMT" (RFC 9110), 29 characters and a NUL. */
void clock_http_date(int64_t wall_ms, char out[30]);

typedef struct calendar {
    int year, month, day, hour, minute, second;
    int weekday;    /* 1 = Monday … 7 = Sunday */
    int offset_min; /* east of UTC */
} calendar_t;
typedef struct zone zone_t;
/* Reads a zone of the system's tz database ("Asia/Tokyo", "UTC"); cached for the life of the process, so the pointer
   stays valid. Blocks on a small file the first time: call it when a tenant is loaded, not per request.
   ERR_NOT_FOUND, ERR_INVALID. */
int zone_open(span_t name, const zone_t **out);
void zone_calendar(const zone_t *zone, int64_t wall_ms, calendar_t *out);

#endif

/* civil.h: the Gregorian calendar as arithmetic on days since 1970-01-01. */
#ifndef PERIGEE_BASE_CIVIL_H
#define PERIGEE_BASE_CIVIL_H
#include <stdbool.h>
#include <stdint.h>

typedef struct civil {
    int year, month, day;
} civil_t;

/* Division that rounds down; b > 0. */
static inline int64_t civil_floor(int64_t a, int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
}
bool civil_leap(int year);
/* month 1..12 */
int civil_month_days(int year, int month);
int64_t civil_days(int year, int month, int day);
void civil_from_days(int64_t days, civil_t *out);
/* 1 = Monday … 7 = Sunday */
int civil_weekday(int64_t days);

#endif

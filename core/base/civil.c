/* civil.c: days since 1970 to year, month and day and back; years begin in March here, so that the leap day is last. */
#include "base/civil.h"

#define ERA_DAYS 146097 /* of 400 years */
/* From 0000-03-01 to 1970-01-01. */
#define EPOCH_DAYS 719468

bool civil_leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int civil_month_days(int year, int month) {
    static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && civil_leap(year) ? 1 : 0);
}

int64_t civil_days(int year, int month, int day) {
    int64_t from_march = month <= 2 ? year - 1 : year;
    int64_t era = civil_floor(from_march, 400);
    int64_t year_of_era = from_march - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

void civil_from_days(int64_t days, civil_t *out) {
    days += EPOCH_DAYS;
    int64_t era = civil_floor(days, ERA_DAYS);
    int64_t of_era = days - era * ERA_DAYS;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t from_march = (5 * of_year + 2) / 153;
    out->day = (int)(of_year - (153 * from_march + 2) / 5 + 1);
    out->month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
    out->year = (int)(year + era * 400 + (out->month <= 2 ? 1 : 0));
}

/* 1970-01-01 was a Thursday. */
int civil_weekday(int64_t days) {
    int64_t from_monday = (days + 3) - civil_floor(days + 3, 7) * 7;
    return (int)from_monday + 1;
}

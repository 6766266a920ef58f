/* test_clock.c: dates as text, and zones against known moments, also beyond the last transition of the file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/civil.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/tzif.h"
#include "base/tzrule.h"

static void iso_text(void **state) {
    (void)state;
    const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00.000Z"}, {1732183200000, "2024-11-21T10:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"}, {951782400123, "2000-02-29T00:00:00.123Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[25];
        int64_t back;
        clock_iso(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(clock_parse_iso(span_of(text), &back), 0);
        assert_true(back == cases[i].ms);
    }
    char text[25];
    clock_iso(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    clock_iso(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

static void iso_with_offsets(void **state) {
    (void)state;
    int64_t ms = 0;
    assert_int_equal(clock_parse_iso(SPAN("2024-11-21T11:00:00+01:00"), &ms), 0);
    assert_true(ms == 1732183200000);
    assert_int_equal(clock_parse_iso(SPAN("2024-11-21t04:30:00.5-05:30"), &ms), 0);
    assert_true(ms == 1732183200500);
    assert_int_equal(clock_parse_iso(SPAN("2024-11-21T10:00:00.1239999z"), &ms), 0);
    assert_true(ms == 1732183200123);
    assert_int_equal(clock_parse_iso(SPAN("2016-12-31T23:59:60Z"), &ms), 0);
    assert_true(ms == 1483228800000);
}

static void wrong_iso_is_refused(void **state) {
    (void)state;
    const char *bad[] = {"", "2024-11-21", "2024-11-21T10:00:00", "2024-11-21 10:00:00Z",
        "2024-13-21T10:00:00Z", "2023-02-29T10:00:00Z", "2024-11-21T24:00:00Z",
        "2024-11-21T10:60:00Z", "2024-11-21T10:00:61Z", "2024-11-21T10:00:00.Z",
        "2024-11-21T10:00:00Zx", "2024-11-21T10:00:00+0100", "2024-11-21T10:00:00+24:00",
        "2024-00-21T10:00:00Z", "2024-11-00T10:00:00Z", "-024-11-21T10:00:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms;
        assert_int_equal(clock_parse_iso(span_of(bad[i]), &ms), ERR_INVALID);
    }
}

static void http_date(void **state) {
    (void)state;
    char text[30];
    clock_http_date(1732183200000, text);
    assert_string_equal(text, "Thu, 21 Nov 2024 10:00:00 GMT");
    clock_http_date(0, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void days_go_both_ways(void **state) {
    (void)state;
    int weekday = civil_weekday(civil_days(1900, 1, 1));
    assert_int_equal(weekday, 1);
    for (int64_t days = civil_days(1900, 1, 1); days < civil_days(2101, 1, 1); days++) {
        civil_t date;
        civil_from_days(days, &date);
        assert_true(civil_days(date.year, date.month, date.day) == days);
        assert_true(date.day <= civil_month_days(date.year, date.month));
        assert_int_equal(civil_weekday(days), weekday);
        weekday = weekday % 7 + 1;
    }
}

static void assert_zone(const char *name, const char *utc, const char *local, int offset) {
    const zone_t *zone;
    int64_t ms;
    calendar_t c;
    char text[80];
    assert_int_equal(zone_open(span_of(name), &zone), 0);
    assert_int_equal(clock_parse_iso(span_of(utc), &ms), 0);
    zone_calendar(zone, ms, &c);
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d %d", c.year, c.month, c.day, c.hour,
        c.minute, c.second, c.weekday);
    assert_string_equal(text, local);
    assert_int_equal(c.offset_min, offset);
}

static void zones_tell_local_time(void **state) {
    (void)state;
    assert_zone("UTC", "2024-11-21T10:00:00Z", "2024-11-21T10:00:00 4", 0);
    assert_zone("Asia/Tokyo", "2024-11-21T20:30:15Z", "2024-11-22T05:30:15 5", 540);
    assert_zone("Asia/Kolkata", "2024-11-21T20:30:15Z", "2024-11-22T02:00:15 5", 330);
    assert_zone("Europe/Berlin", "2024-03-31T00:59:59Z", "2024-03-31T01:59:59 7", 60);
    assert_zone("Europe/Berlin", "2024-03-31T01:00:00Z", "2024-03-31T03:00:00 7", 120);
    assert_zone("Europe/Berlin", "2024-10-27T00:59:59Z", "2024-10-27T02:59:59 7", 120);
    assert_zone("Europe/Berlin", "2024-10-27T01:00:00Z", "2024-10-27T02:00:00 7", 60);
    assert_zone("America/New_York", "2024-11-03T05:59:59Z", "2024-11-03T01:59:59 7", -240);
    assert_zone("America/New_York", "2024-11-03T06:00:00Z", "2024-11-03T01:00:00 7", -300);
}

/* Far beyond the table of a file, and on the southern half, where summer spans the new year. */
static void zones_know_the_future(void **state) {
    (void)state;
    assert_zone("Europe/Berlin", "2060-07-01T12:00:00Z", "2060-07-01T14:00:00 4", 120);
    assert_zone("Europe/Berlin", "2060-12-31T23:30:00Z", "2061-01-01T00:30:00 6", 60);
    assert_zone("Australia/Sydney", "2060-12-31T12:00:00Z", "2060-12-31T23:00:00 5", 660);
    assert_zone("Australia/Sydney", "2060-07-01T12:00:00Z", "2060-07-01T22:00:00 4", 600);
    assert_zone("Asia/Tokyo", "2060-07-01T12:00:00Z", "2060-07-01T21:00:00 4", 540);
}

static void wrong_zones_are_refused(void **state) {
    (void)state;
    const char *bad[] = {"", "Asia", "Asia/Nowhere", "../../../etc/passwd", "/etc/localtime",
        "Asia/Tokyo\n", "zone.tab",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    const zone_t *zone, *again;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(zone_open(span_of(bad[i]), &zone), ERR_NOT_FOUND);
    assert_int_equal(zone_open(SPAN("Asia/Tokyo"), &zone), 0);
    assert_int_equal(zone_open(SPAN("Asia/Tokyo"), &again), 0);
    assert_ptr_equal(zone, again);
}

static void cut_files_are_refused(void **state) {
    (void)state;
    unsigned char file[44 + 6] = "TZif";
    file[39] = 1; /* one type, one byte short of its abbreviation */
    file[43] = 1;
    tzif_t tzif;
    span_t footer;
    for (size_t len = 0; len <= sizeof file; len++) {
        assert_int_equal(tzif_parse((span_t){(char *)file, len}, &tzif, &footer), ERR_INVALID);
        tzif_destroy(&tzif);
    }
    file[43] = 0;
    assert_int_equal(tzif_parse((span_t){(char *)file, sizeof file}, &tzif, &footer), 0);
    tzif_destroy(&tzif);
}

static void rules_of_posix(void **state) {
    (void)state;
    tzrule_t rule;
    assert_int_equal(tzrule_parse(SPAN("<+0330>-3:30"), &rule), 0);
    assert_int_equal(tzrule_offset(&rule, 0), 12600);
    assert_int_equal(tzrule_parse(SPAN("EST5EDT,J60/0,J305/0"), &rule), 0);
    assert_int_equal(tzrule_offset(&rule, civil_days(2024, 2, 29) * 86400 + 5 * 3600), -18000);
    assert_int_equal(tzrule_offset(&rule, civil_days(2024, 3, 1) * 86400 + 5 * 3600), -14400);
    assert_int_equal(tzrule_parse(SPAN("AAA3BBB2,0/-1,364/30"), &rule), 0);
    const char *bad[] = {"", "CE-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "<+03-3",
        "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J1", "CET-1CEST,366,1", "CET-1CEST,M3.5.0,M10.5.0x", "CET999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tzrule_parse(span_of(bad[i]), &rule), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iso_text),
        cmocka_unit_test(iso_with_offsets),
        cmocka_unit_test(wrong_iso_is_refused),
        cmocka_unit_test(http_date),
        cmocka_unit_test(days_go_both_ways),
        cmocka_unit_test(zones_tell_local_time),
        cmocka_unit_test(zones_know_the_future),
        cmocka_unit_test(wrong_zones_are_refused),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(rules_of_posix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

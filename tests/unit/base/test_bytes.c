/* test_bytes.c: cutting and reading spans, writing buffers, JSON strings. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/bytes.h"
#include "base/err.h"

#define assert_span(span, text) assert_true(span_eq((span), span_of(text)))

static void spans_compare_and_cut(void **state) {
    (void)state;
    assert_true(span_ieq(SPAN("Content-Length"), SPAN("content-LENGTH")));
    assert_false(span_ieq(SPAN("@"), SPAN("`"))); /* differ by the case bit, but are no letters */
    assert_true(span_starts(SPAN("/api/x"), SPAN("/api")));
    assert_false(span_starts(SPAN("/ap"), SPAN("/api")));
    assert_span(span_trim(SPAN(" \t a b\t ")), "a b");
    assert_span(span_trim(SPAN("  ")), "");
    span_t text = SPAN("a,,b");
    assert_span(span_cut(&text, ','), "a");
    assert_span(span_cut(&text, ','), "");
    assert_span(span_cut(&text, ','), "b");
    assert_int_equal(text.len, 0);
    assert_span(span_cut(&text, ','), "");
}

static void numbers_are_whole_spans(void **state) {
    (void)state;
    uint64_t u = 0;
    int64_t i = 0;
    assert_int_equal(span_to_u64(SPAN("18446744073709551615"), &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(span_to_u64(SPAN("18446744073709551616"), &u), ERR_RANGE);
    assert_int_equal(span_to_u64(SPAN("99999999999999999999999x"), &u), ERR_INVALID);
    assert_int_equal(span_to_u64(SPAN(""), &u), ERR_INVALID);
    assert_int_equal(span_to_u64(SPAN("+1"), &u), ERR_INVALID);
    assert_int_equal(span_to_u64(SPAN(" 1"), &u), ERR_INVALID);
    assert_int_equal(span_to_i64(SPAN("-9223372036854775808"), &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(span_to_i64(SPAN("9223372036854775808"), &i), ERR_RANGE);
    assert_int_equal(span_to_i64(SPAN("-"), &i), ERR_INVALID);
}

static void utf8_is_strict(void **state) {
    (void)state;
    assert_true(span_is_utf8(SPAN("Größe 10 € 𝄞 \xEF\xBF\xBF \xF4\x8F\xBF\xBF")));
    assert_true(span_is_utf8(SPAN("")));
    const char *bad[] = {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "a\xC3", "\xFF",
        "\xE2\x28\xA1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(span_is_utf8(span_of(bad[i])));
}

static void buffers_grow(void **state) {
    (void)state;
    buf_t buf;
    buf_create(&buf);
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%03d,", i);
    assert_int_equal(buf.len, 4000);
    assert_memory_equal(buf.ptr + 3996, "999,", 4);
    buf_reset(&buf);
    buf_i64(&buf, INT64_MIN);
    buf_char(&buf, ' ');
    buf_u64(&buf, 0);
    buf_span(&buf, SPAN("!"));
    assert_span(buf_view(&buf), "-9223372036854775808 0!");
    buf_destroy(&buf);
}

static void a_failure_stays(void **state) {
    (void)state;
    buf_t buf;
    buf_create(&buf);
    buf_text(&buf, "a");
    assert_null(buf_reserve(&buf, SIZE_MAX / 2));
    buf_text(&buf, "b");
    assert_true(buf.failed);
    assert_span(buf_view(&buf), "a");
    buf_reset(&buf);
    assert_false(buf.failed);
    buf_destroy(&buf);
}

static void json_strings_are_escaped(void **state) {
    (void)state;
    buf_t buf;
    buf_create(&buf);
    buf_json(&buf, SPAN("a\"\\\b\t\n\f\r\v\x01\x7F\0é\xFFz\xC3"));
    assert_span(buf_view(&buf),
        "\"a\\\"\\\\\\b\\t\\n\\f\\r\\u000b\\u0001\\u007f\\u0000é\xEF\xBF\xBDz\xEF\xBF\xBD\"");
    buf_destroy(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_compare_and_cut),
        cmocka_unit_test(numbers_are_whole_spans),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(buffers_grow),
        cmocka_unit_test(a_failure_stays),
        cmocka_unit_test(json_strings_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_csv.c: records whatever pieces the bytes come in, and faults with the line they are on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/csv.h"
#include "base/err.h"

/* Writes each record as "line:field|field;" or "line!;" for a fault. */
static int on_record(
    void *data, size_t line, const span_t *fields, size_t nfields, const char *fault) {
    buf_t *out = data;
    buf_u64(out, line);
    if (fault) assert_int_equal(nfields, 0);
    buf_char(out, fault ? '!' : ':');
    for (size_t i = 0; i < nfields; i++) {
        if (i) buf_char(out, '|');
        buf_span(out, fields[i]);
    }
    buf_char(out, ';');
    return 0;
}

static void assert_reads(const char *input, const char *expected) {
    size_t len = strlen(input);
    for (size_t piece = 1; piece <= len + 1; piece++) {
        buf_t out;
        buf_create(&out);
        csv_t *csv = csv_new(on_record, &out);
        for (size_t at = 0; at < len; at += piece) {
            size_t take = len - at < piece ? len - at : piece;
            char *copy = malloc(take); /* so that the sanitizer sees a read behind the piece */
            memcpy(copy, input + at, take);
            assert_int_equal(csv_push(csv, copy, take), 0);
            free(copy);
        }
        assert_int_equal(csv_end(csv), 0);
        buf_char(&out, '\0');
        assert_string_equal(out.ptr, expected);
        csv_delete(csv);
        buf_destroy(&out);
    }
}

static void records_and_line_ends(void **state) {
    (void)state;
    assert_reads("a,b\r\nc,d\r\n", "1:a|b;2:c|d;");
    assert_reads("a,b\nc,d", "1:a|b;2:c|d;");
    assert_reads("a\rb\r\rc", "1:a;2:b;4:c;");
    assert_reads("", "");
    assert_reads("\n\r\n\n", "");
    assert_reads("a\n\n\nb\n", "1:a;4:b;");
    assert_reads(",\n,,", "1:|;2:||;");
}

static void quotes(void **state) {
    (void)state;
    assert_reads("\"a,b\",\"c\"\"d\"\n", "1:a,b|c\"d;");
    assert_reads("\"\"\nx", "1:;2:x;");
    assert_reads("\"two\r\nlines\",x\ny\n", "1:two\r\nlines|x;3:y;");
    assert_reads("\"\"\"\"", "1:\";");
    assert_reads("\"a\"\r\n\"b\"", "1:a;2:b;");
}

static void a_byte_order_mark_is_skipped(void **state) {
    (void)state;
    assert_reads("\xEF\xBB\xBF"
                 "a,b\n",
        "1:a|b;");
    assert_reads("\xEF\xBB\xBF\"a\"", "1:a;");
    assert_reads("\xEF\xBB"
                 "x",
        "1:\xEF\xBB"
        "x;");
    assert_reads("\xEF", "1:\xEF;");
    assert_reads("a\xEF\xBB\xBF", "1:a\xEF\xBB\xBF;");
}

static void faults_name_their_line_and_do_not_spread(void **state) {
    (void)state;
    assert_reads("a\nb\"c,d\ne\n", "1:a;2!;3:e;");
    assert_reads("\"a\"b\"c\ne\n", "1!;2:e;");
    assert_reads("\"a\"b,\"c\nd\"\ne\n", "1!;3:e;");
    assert_reads("a\n\"b\nc\nd", "1:a;2!;");
    assert_reads("a,\"", "1!;");
}

static void too_many_fields(void **state) {
    (void)state;
    char text[CSV_FIELDS_MAX + 8];
    memset(text, ',', sizeof text);
    for (int extra = 0; extra < 2; extra++) {
        buf_t out;
        buf_create(&out);
        csv_t *csv = csv_new(on_record, &out);
        assert_int_equal(csv_push(csv, text, CSV_FIELDS_MAX - 1 + (size_t)extra), 0);
        assert_int_equal(csv_push(csv, "\nz\n", 3), 0);
        assert_int_equal(csv_end(csv), 0);
        assert_int_equal(out.ptr[1], extra ? '!' : ':');
        assert_memory_equal(out.ptr + out.len - 4, "2:z;", 4);
        csv_delete(csv);
        buf_destroy(&out);
    }
}

static void too_large(void **state) {
    (void)state;
    static char block[64 * 1024];
    memset(block, 'x', sizeof block);
    buf_t out;
    buf_create(&out);
    csv_t *csv = csv_new(on_record, &out);
    for (int i = 0; i < 40; i++)
        assert_int_equal(csv_push(csv, block, sizeof block), 0);
    for (int i = 0; i < 80; i++) { /* each field is small enough, the record is not */
        assert_int_equal(csv_push(csv, i ? "," : "\n", 1), 0);
        assert_int_equal(csv_push(csv, block, sizeof block), 0);
    }
    assert_int_equal(csv_push(csv, "\nz\n", 3), 0);
    assert_int_equal(csv_end(csv), 0);
    buf_char(&out, '\0');
    assert_string_equal(out.ptr, "1!;2!;3:z;");
    csv_delete(csv);
    buf_destroy(&out);
}

static int refuse(
    void *data, size_t line, const span_t *fields, size_t nfields, const char *fault) {
    (void)fields, (void)nfields, (void)fault;
    ++*(int *)data;
    return line == 2 ? ERR_CONFLICT : 0;
}

static void the_callback_can_stop(void **state) {
    (void)state;
    int calls = 0;
    csv_t *csv = csv_new(refuse, &calls);
    assert_int_equal(csv_push(csv, "a\nb\nc\n", 6), ERR_CONFLICT);
    assert_int_equal(calls, 2);
    csv_delete(csv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_and_line_ends),
        cmocka_unit_test(quotes),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(faults_name_their_line_and_do_not_spread),
        cmocka_unit_test(too_many_fields),
        cmocka_unit_test(too_large),
        cmocka_unit_test(the_callback_can_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

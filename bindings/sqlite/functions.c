/* functions.c: registers minor_units, edit_distance, cjk_apart and now_ms on a connection. */
#include "sqlite/functions.h"
#include "base/clock.h"
#include "base/money.h"
#include "sqlite/cjk.h"
#include "sqlite/edit_distance.h"

static span_t text_of(sqlite3_value *value) {
    const char *text = (const char *)sqlite3_value_text(value);
    return text ? (span_t){text, (size_t)sqlite3_value_bytes(value)} : (span_t){"", 0};
}

/* A price may be JSON text of a string: "29.90" with its quotes. */
static span_t unquote(span_t text) {
    if (text.len < 2 || text.ptr[0] != '"' || text.ptr[text.len - 1] != '"') return text;
    return (span_t){text.ptr + 1, text.len - 2};
}

static void minor_units(sqlite3_context *context, int argc, sqlite3_value **argv) {
    int64_t amount;
    (void)argc;
    if (sqlite3_value_type(argv[0]) == SQLITE_NULL) return;
    int digits = currency_digits(text_of(argv[1]));
    if (digits < 0 || money_parse(unquote(text_of(argv[0])), digits, &amount)) return;
    sqlite3_result_int64(context, amount);
}

static void distance(sqlite3_context *context, int argc, sqlite3_value **argv) {
    (void)argc;
    int most = sqlite3_value_int(argv[2]);
    sqlite3_result_int(context, edit_distance(text_of(argv[0]), text_of(argv[1]), most));
}

static void apart(sqlite3_context *context, int argc, sqlite3_value **argv) {
    (void)argc;
    span_t text = text_of(argv[0]);
    if (!cjk_any(text)) {
        sqlite3_result_value(context, argv[0]);
        return;
    }
    buf_t out;
    buf_create(&out);
    cjk_apart(text, &out);
    if (out.failed)
        sqlite3_result_error_nomem(context);
    else
        sqlite3_result_text64(context, out.ptr, out.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    buf_destroy(&out);
}

static void now_ms(sqlite3_context *context, int argc, sqlite3_value **argv) {
    (void)argc;
    (void)argv;
    sqlite3_result_int64(context, clock_wall_ms());
}

int functions_register(sqlite3 *db) {
    const int pure = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    int rc = sqlite3_create_function(db, "minor_units", 2, pure, NULL, minor_units, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_function(db, "edit_distance", 3, pure, NULL, distance, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_function(db, "cjk_apart", 1, pure, NULL, apart, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_function(
            db, "now_ms", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, NULL, now_ms, NULL, NULL);
    return rc;
}

/* test_sqlite_cjk.c: which characters are set apart, and that all other text stays as it is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "sqlite/cjk.h"

static void assert_apart(const char *text, const char *wanted) {
    buf_t out;
    buf_create(&out);
    buf_text(&out, "kept"); /* only what is appended counts */
    cjk_apart(span_of(text), &out);
    buf_char(&out, '\0');
    assert_string_equal(out.ptr + 4, wanted);
    buf_destroy(&out);
}

static void characters_stand_apart_from_all_neighbours(void **state) {
    (void)state;
    assert_apart("日本語", "日 本 語");
    assert_apart("SONY製のTV", "SONY 製 の TV");
    assert_apart("ｶﾒﾗ 人々", "ｶ ﾒ ﾗ 人 々");
    assert_apart("한국어", "한 국 어");
    assert_apart("帐篷", "帐 篷");
    assert_apart("𠮷a", "𠮷 a");
    assert_apart("\"テ\"", "\" テ \"");
}

static void what_stands_apart_already_stays(void **state) {
    (void)state;
    assert_apart("日 本", "日 本");
    assert_apart("日 a 本", "日 a 本");
}

static void other_text_stays(void **state) {
    static const char *const TEXTS[] = {
        "", "Tent", "Café Ωλ Ж", "เต็นท์", "👍x", "\xFF\xE3\x81", "\xE3"};
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++)
        assert_apart(TEXTS[i], TEXTS[i]);
}

static void a_quick_look_misses_nothing(void **state) {
    (void)state;
    assert_true(cjk_any(SPAN("a々")));
    assert_true(cjk_any(SPAN("𠮷")));
    assert_false(cjk_any(SPAN("Café Ωλ Ж เต็นท์")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_stand_apart_from_all_neighbours),
        cmocka_unit_test(what_stands_apart_already_stays),
        cmocka_unit_test(other_text_stays),
        cmocka_unit_test(a_quick_look_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

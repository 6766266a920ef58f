/* test_ident.c: ids are well-formed and in order, tokens are long and different, digests are known ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/ident.h"

static void uuids_are_version_7_and_ascend(void **state) {
    (void)state;
    char last[37] = "", id[37];
    for (int i = 0; i < 10000; i++) {
        ident_uuid(id);
        assert_int_equal(strlen(id), 36);
        assert_true(ident_is_uuid(span_of(id)));
        assert_int_equal(id[14], '7');
        assert_non_null(strchr("89ab", id[19]));
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof id);
    }
}

static void uuids_carry_the_time(void **state) {
    (void)state;
    char id[37];
    int64_t before = clock_wall_ms();
    ident_uuid(id);
    unsigned long long high, low;
    assert_int_equal(sscanf(id, "%8llx-%4llx", &high, &low), 2);
    int64_t ms = (int64_t)(high << 16 | low);
    assert_true(ms >= before && ms <= clock_wall_ms() + 60000);
}

static void only_uuids_are_uuids(void **state) {
    (void)state;
    assert_true(ident_is_uuid(SPAN("018F4E5A-0000-7000-8000-0123456789ab")));
    assert_false(ident_is_uuid(SPAN("018f4e5a-0000-7000-8000-0123456789a")));
    assert_false(ident_is_uuid(SPAN("018f4e5a-0000-7000-8000-0123456789ag")));
    assert_false(ident_is_uuid(SPAN("018f4e5a00000-7000-8000-0123456789ab")));
    assert_false(ident_is_uuid(SPAN("")));
}

static void tokens_have_all_their_bytes(void **state) {
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        char a[64], b[64];
        memset(a, '!', sizeof a);
        ident_token(a, n);
        ident_token(b, n);
        assert_int_equal(strlen(a), (n * 8 + 5) / 6);
        assert_int_equal(a[strlen(a) + 1], '!');
        assert_int_equal(
            strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            strlen(a));
        if (n >= 16) assert_string_not_equal(a, b);
    }
}

static void digests_are_sha256(void **state) {
    (void)state;
    char whole[65], parts[65];
    ident_sha256(SPAN(""), whole);
    assert_string_equal(whole, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ident_sha256(SPAN("abc"), whole);
    assert_string_equal(whole, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ident_hash_t hash;
    ident_hash_start(&hash);
    ident_hash_add(&hash, SPAN("a"));
    ident_hash_add(&hash, (span_t){NULL, 0});
    ident_hash_add(&hash, SPAN("bc"));
    ident_hash_end(&hash, parts);
    assert_string_equal(parts, whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuids_are_version_7_and_ascend),
        cmocka_unit_test(uuids_carry_the_time),
        cmocka_unit_test(only_uuids_are_uuids),
        cmocka_unit_test(tokens_have_all_their_bytes),
        cmocka_unit_test(digests_are_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

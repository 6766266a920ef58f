/* test_map.c: a map agrees with a plain array through thousands of changes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/map.h"

#define KEYS 500

static span_t key_of(int i, char text[16]) {
    return (span_t){text, (size_t)snprintf(text, 16, "key-%d", i)};
}

static void agrees_with_an_array(void **state) {
    (void)state;
    static int values[KEYS], present[KEYS];
    uint32_t random = 12345;
    size_t count = 0;
    map_t map;
    map_create(&map);
    for (int step = 0; step < 20000; step++) {
        char text[16];
        random = random * 1664525 + 1013904223;
        int i = (int)(random >> 8) % KEYS;
        span_t key = key_of(i, text);
        void *expected = present[i] ? &values[i] : NULL, *old;
        assert_ptr_equal(map_get(&map, key), expected);
        if (random >> 31) {
            assert_int_equal(map_set(&map, key, &values[i], &old), 0);
            assert_ptr_equal(old, expected);
            count += expected ? 0 : 1;
        } else {
            assert_ptr_equal(map_remove(&map, key), expected);
            count -= expected ? 1 : 0;
        }
        present[i] = (int)(random >> 31);
        assert_int_equal(map.count, count);
    }
    map_destroy(&map);
}

static void walks_every_key_once(void **state) {
    (void)state;
    int seen[KEYS] = {0}, values[KEYS];
    char text[16];
    map_t map;
    map_create(&map);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(map_set(&map, key_of(i, text), &values[i], NULL), 0);
    span_t key;
    void *value;
    for (size_t at = 0; map_next(&map, &at, &key, &value);) {
        long i = (int *)value - values;
        assert_true(span_eq(key, key_of((int)i, text)));
        seen[i]++;
    }
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(seen[i], 1);
    map_destroy(&map);
}

static void keys_are_copied_bytes(void **state) {
    (void)state;
    char key[] = "a\0b";
    map_t map;
    map_create(&map);
    assert_null(map_get(&map, SPAN("")));
    assert_null(map_remove(&map, SPAN("")));
    assert_int_equal(map_set(&map, (span_t){key, 3}, "with", NULL), 0);
    assert_int_equal(map_set(&map, (span_t){NULL, 0}, "empty", NULL), 0);
    key[0] = 'x';
    assert_string_equal(map_get(&map, (span_t){"a\0b", 3}), "with");
    assert_string_equal(map_get(&map, SPAN("")), "empty");
    assert_null(map_get(&map, SPAN("a")));
    assert_true(map_hash(SPAN("a")) == map_hash(SPAN("a")));
    map_destroy(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(walks_every_key_once),
        cmocka_unit_test(keys_are_copied_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

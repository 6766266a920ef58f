/* test_blocks.c: blocks keep their bytes through every change of size, and freed ones are used again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "lua/blocks.h"

#define COUNT 400

static unsigned char pattern(size_t block, size_t at) {
    return (unsigned char)(block * 31 + at * 7);
}

static void check(const unsigned char *bytes, size_t block, size_t size) {
    for (size_t at = 0; at < size; at++)
        assert_int_equal(bytes[at], pattern(block, at));
}

static void fill(unsigned char *bytes, size_t block, size_t from, size_t size) {
    for (size_t at = from; at < size; at++)
        bytes[at] = pattern(block, at);
}

static void bytes_survive_every_change_of_size(void **state) {
    (void)state;
    static const size_t SIZES[] = {1, 16, 17, 40, 512, 513, 5000, 512, 480, 70000, 24};
    static unsigned char *blocks[COUNT];
    size_t n = sizeof SIZES / sizeof *SIZES;
    for (size_t step = 0; step <= n; step++) {
        for (size_t i = 0; i < COUNT; i++) {
            size_t old = step == 0 ? 0 : SIZES[(i + step - 1) % n], size = SIZES[(i + step) % n];
            if (step == n) size = 0;
            size_t common = old < size ? old : size;
            blocks[i] = blocks_realloc(blocks[i], old, size);
            if (size == 0) continue;
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 8, 0);
            check(blocks[i], i, common);
            fill(blocks[i], i, common, size);
        }
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_null(blocks[i]);
}

static void nothing_is_nothing(void **state) {
    (void)state;
    assert_null(blocks_realloc(NULL, 0, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_survive_every_change_of_size),
        cmocka_unit_test(nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

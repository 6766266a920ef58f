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
            if (size == 0) {
                blocks_free(blocks[i], old);
                continue;
            }
            blocks[i] = old ? blocks_resize(blocks[i], old, size) : blocks_new(size);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 8, 0);
            check(blocks[i], i, common);
            fill(blocks[i], i, common, size);
        }
    }
}

/* A thousand rounds of the same work take no more memory than one: seen by the blocks coming back. */
static void freed_blocks_are_used_again(void **state) {
    (void)state;
#ifndef PERIGEE_SANITIZE
    void *first = blocks_new(100);
    blocks_free(first, 100);
    for (int i = 0; i < 1000; i++) {
        void *again = blocks_new(97 + i % 16);
        assert_ptr_equal(again, first);
        blocks_free(again, 97 + i % 16);
    }
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_survive_every_change_of_size),
        cmocka_unit_test(freed_blocks_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_arena.c: alignment, large pieces, and goodbyes in the right order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/arena.h"
#include "base/err.h"

static void pieces_are_aligned_and_apart(void **state) {
    (void)state;
    arena_t arena;
    arena_create(&arena);
    unsigned char *pieces[300];
    for (size_t i = 0; i < 300; i++) {
        size_t size = (i * 37) % 700;
        pieces[i] = arena_alloc(&arena, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i & 0xFF), size);
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t at = 0; at < (i * 37) % 700; at++)
            assert_int_equal(pieces[i][at], i & 0xFF);
    }
    arena_destroy(&arena);
}

static void a_large_piece_leaves_the_block_usable(void **state) {
    (void)state;
    arena_t arena;
    arena_create(&arena);
    char *large_first = arena_zalloc(&arena, 1000000);
    char *before = arena_alloc(&arena, 16);
    char *large = arena_zalloc(&arena, 1000000);
    char *after = arena_alloc(&arena, 16);
    assert_non_null(large_first);
    assert_int_equal(large[999999], 0);
    assert_ptr_equal(after, before + 16);
    arena_destroy(&arena);
}

static void absurd_sizes_are_refused(void **state) {
    (void)state;
    arena_t arena;
    arena_create(&arena);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 15));
    assert_null(arena_dup(&arena, "", SIZE_MAX));
    arena_destroy(&arena);
}

static void copies_end_with_a_nul(void **state) {
    (void)state;
    arena_t arena;
    arena_create(&arena);
    assert_string_equal(arena_dup(&arena, "carts", 4), "cart");
    assert_string_equal(arena_dup(&arena, NULL, 0), "");
    assert_string_equal(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    arena_destroy(&arena);
}

typedef struct note {
    arena_t *arena;
    char *order;
    char letter;
} note_t;

static void write_note(void *data) {
    note_t *note = data;
    size_t len = strlen(note->order);
    note->order[len] = note->letter;
    note->order[len + 1] = '\0';
}

static void defer_another(void *data) {
    note_t *note = data;
    write_note(data);
    note->letter = 'z';
    assert_int_equal(arena_defer(note->arena, write_note, note), 0);
}

static void goodbyes_run_newest_first_before_memory_goes(void **state) {
    (void)state;
    char order[8] = "";
    arena_t arena;
    arena_create(&arena);
    for (char letter = 'a'; letter <= 'c'; letter++) {
        note_t *note = arena_alloc(&arena, sizeof *note);
        *note = (note_t){&arena, order, letter};
        assert_int_equal(arena_defer(&arena, letter == 'b' ? defer_another : write_note, note), 0);
    }
    arena_destroy(&arena);
    assert_string_equal(order, "cbza");
    assert_non_null(arena_alloc(&arena, 1)); /* may be used again */
    arena_destroy(&arena);
}

static void count(void *data) {
    ++*(int *)data;
}

static void a_reset_arena_is_empty_and_usable(void **state) {
    (void)state;
    arena_t arena;
    int goodbyes = 0;
    arena_create(&arena);
    arena_reset(&arena);
    for (int round = 0; round < 3; round++) {
        char *large = arena_zalloc(&arena, 100000);
        assert_non_null(large);
        for (int i = 0; i < 100; i++) {
            char *piece = arena_alloc(&arena, 300);
            assert_non_null(piece);
            memset(piece, 1, 300);
        }
        assert_int_equal(large[99999], 0);
        assert_int_equal(arena_defer(&arena, count, &goodbyes), 0);
        arena_reset(&arena);
        assert_int_equal(goodbyes, round + 1);
    }
    arena_destroy(&arena);
    assert_int_equal(goodbyes, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(a_large_piece_leaves_the_block_usable),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(copies_end_with_a_nul),
        cmocka_unit_test(goodbyes_run_newest_first_before_memory_goes),
        cmocka_unit_test(a_reset_arena_is_empty_and_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

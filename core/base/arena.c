/* arena.c: bump allocation in growing blocks, and goodbyes that run before the blocks go. */
#include "base/arena.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

#define ALIGNMENT 16
#define BLOCK_FIRST ((size_t)4096)
#define BLOCK_MOST ((size_t)64 * 1024)

struct arena_block {
    arena_block_t *older;
    size_t size; /* of the whole block, this header included */
};
/* Keeps what follows the header aligned. */
#define HEADER ((sizeof(arena_block_t) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT)

struct arena_defer {
    arena_defer_t *older;
    void (*fn)(void *data);
    void *data;
};

void arena_create(arena_t *arena) {
    *arena = (arena_t){0};
}

static void say_goodbye(arena_t *arena) {
    while (arena->defers) { /* a goodbye may register another, so the head is read afresh */
        arena_defer_t *defer = arena->defers;
        arena->defers = defer->older;
        defer->fn(defer->data);
    }
}

/* With sanitizers nothing is kept, so that they see who still uses what has ended. */
static bool worth_keeping(const arena_block_t *block) {
#ifdef PERIGEE_SANITIZE
    (void)block;
    return false;
#else
    return block->size == BLOCK_FIRST;
#endif
}

/* Frees all blocks but the one that it returns: one of the first size, or NULL. */
static arena_block_t *free_blocks(arena_t *arena, bool keep) {
    arena_block_t *kept = NULL;
    while (arena->blocks) {
        arena_block_t *block = arena->blocks;
        arena->blocks = block->older;
        if (keep && !kept && worth_keeping(block))
            kept = block;
        else
            free(block);
    }
    return kept;
}

void arena_destroy(arena_t *arena) {
    say_goodbye(arena);
    free_blocks(arena, false);
    arena_create(arena);
}

void arena_reset(arena_t *arena) {
    say_goodbye(arena);
    arena_block_t *kept = free_blocks(arena, true);
    arena_create(arena);
    if (!kept) return;
    kept->older = NULL;
    arena->blocks = kept;
    arena->next = (char *)kept + HEADER;
    arena->end = (char *)kept + kept->size;
}

static arena_block_t *add_block(arena_t *arena, size_t size) {
    arena_block_t *block = malloc(size);
    if (!block) return NULL;
    block->older = arena->blocks;
    block->size = size;
    arena->blocks = block;
    return block;
}

/* A large piece gets a block of its own behind the current one, so that the rest of the current block stays usable. */
static void *alloc_large(arena_t *arena, size_t size) {
    arena_block_t *current = arena->blocks;
    arena_block_t *block = add_block(arena, HEADER + size);
    if (!block) return NULL;
    if (current) {
        arena->blocks = current;
        block->older = current->older;
        current->older = block;
    }
    return (char *)block + HEADER;
}

static void *alloc_slow(arena_t *arena, size_t size) {
    size_t last = arena->next ? (size_t)(arena->end - (char *)arena->blocks) : BLOCK_FIRST / 2;
    size_t wanted = last * 2 < BLOCK_MOST ? last * 2 : BLOCK_MOST;
    if (size > wanted / 4) return alloc_large(arena, size);
    arena_block_t *block = add_block(arena, wanted);
    if (!block) return NULL;
    arena->next = (char *)block + HEADER + size;
    arena->end = (char *)block + wanted;
    return (char *)block + HEADER;
}

void *arena_alloc(arena_t *arena, size_t size) {
    if (size > PTRDIFF_MAX / 2) return NULL;
    size = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    if ((size_t)(arena->end - arena->next) < size) return alloc_slow(arena, size);
    void *piece = arena->next;
    arena->next += size;
    return piece;
}

void *arena_zalloc(arena_t *arena, size_t size) {
    void *piece = arena_alloc(arena, size);
    return piece ? memset(piece, 0, size) : NULL;
}

char *arena_dup(arena_t *arena, const char *text, size_t len) {
    char *copy = len < SIZE_MAX ? arena_alloc(arena, len + 1) : NULL;
    if (!copy) return NULL;
    if (len) memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *arena_printf(arena_t *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (!text) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

int arena_defer(arena_t *arena, void (*fn)(void *data), void *data) {
    arena_defer_t *defer = arena_alloc(arena, sizeof *defer);
    if (!defer) {
        fn(data);
        return ERR_NO_MEMORY;
    }
    *defer = (arena_defer_t){arena->defers, fn, data};
    arena->defers = defer;
    return 0;
}

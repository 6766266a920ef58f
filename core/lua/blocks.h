/* blocks.h: the memory under LuaJIT states: small blocks from lists by size, large ones from malloc. */
#ifndef PERIGEE_LUA_BLOCKS_H
#define PERIGEE_LUA_BLOCKS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* A script makes and drops thousands of small tables and texts for each answer, and malloc takes several times as long
   for them. Small blocks stay with the thread, for any state to use again, and are never given back to the system. */
#define BLOCKS_STEP ((size_t)16)
#define BLOCKS_SMALL ((size_t)512)

typedef struct block block_t;
struct block {
    block_t *next;
};

/* Per thread, because a VM lives on one thread at a time. */
extern _Thread_local block_t *blocks_idle[BLOCKS_SMALL / BLOCKS_STEP];

/* With sanitizers every block is malloc's, so that they see each misuse. */
static inline bool blocks_small(size_t size) {
#ifdef PERIGEE_SANITIZE
    return size == 0;
#else
    return size <= BLOCKS_SMALL;
#endif
}
static inline block_t **blocks_list(size_t size) {
    return &blocks_idle[(size - 1) / BLOCKS_STEP];
}

/* The list of this size is empty: a block from a chunk, or NULL. */
void *blocks_carve(size_t size);

/* At least 8-byte aligned; NULL when out of memory. size is not 0. */
static inline void *blocks_new(size_t size) {
    if (!blocks_small(size)) return malloc(size);
    block_t **list = blocks_list(size), *block = *list;
    if (!block) return blocks_carve(size);
    *list = block->next;
    return block;
}

/* ptr has `size` bytes from here. A size that is too small wastes the difference; one that is too large is an error of
   the caller. */
static inline void blocks_free(void *ptr, size_t size) {
    if (!blocks_small(size)) {
        free(ptr);
        return;
    }
    block_t **list = blocks_list(size), *block = ptr;
    block->next = *list;
    *list = block;
}

/* Neither size is 0. NULL when out of memory; then ptr stands as it was. */
void *blocks_resize(void *ptr, size_t old, size_t size);

#endif

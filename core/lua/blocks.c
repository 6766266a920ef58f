/* blocks.c: a list of free blocks for each small size, refilled from chunks; a script makes and drops thousands of
   small tables and strings for each answer, and malloc takes several times as long for them. */
#include "lua/blocks.h"
#include <stdlib.h>
#include <string.h>

#define STEP ((size_t)16)
/* At least a closure of 60 upvalues (520 bytes): when memory runs out while one is made, the engine frees it by
   less than its size, and a block of malloc must not come into the lists that way. */
#define SMALL ((size_t)528)
#define CHUNK ((size_t)32 * 1024)

typedef struct block block_t;
struct block {
    block_t *next;
};

/* Per thread, because a VM lives on one thread at a time. */
static _Thread_local struct {
    block_t *free[SMALL / STEP];
    char *next, *end; /* what is left of the newest chunk */
} pool;

/* With sanitizers every block is malloc's, so that they see each misuse. */
static int is_small(size_t size) {
#ifdef PERIGEE_SANITIZE
    return size == 0;
#else
    return size <= SMALL;
#endif
}

static size_t class_of(size_t size) {
    return (size - 1) / STEP;
}

static void give(void *ptr, size_t size) {
    block_t *block = ptr;
    block_t **list = &pool.free[class_of(size)];
    block->next = *list;
    *list = block;
}

static void *carve(size_t size) {
    size_t left = (size_t)(pool.end - pool.next);
    if (left < size) {
        char *chunk = malloc(CHUNK);
        if (!chunk) return NULL;
        if (left) give(pool.next, left);
        pool.next = chunk;
        pool.end = chunk + CHUNK;
    }
    void *block = pool.next;
    pool.next += size;
    return block;
}

static void *take(size_t size) {
    if (!is_small(size)) return malloc(size);
    block_t **list = &pool.free[class_of(size)];
    block_t *block = *list;
    if (!block) return carve((class_of(size) + 1) * STEP);
    *list = block->next;
    return block;
}

static void drop(void *ptr, size_t size) {
    if (is_small(size))
        give(ptr, size);
    else
        free(ptr);
}

void *blocks_realloc(void *ptr, size_t old, size_t size) {
    if (!ptr) return size ? take(size) : NULL;
    if (size == 0) {
        drop(ptr, old);
        return NULL;
    }
    if (!is_small(old) && !is_small(size)) return realloc(ptr, size);
    if (is_small(old) && is_small(size) && class_of(old) == class_of(size)) return ptr;
    void *fresh = take(size);
    if (!fresh) return NULL;
    memcpy(fresh, ptr, old < size ? old : size);
    drop(ptr, old);
    return fresh;
}

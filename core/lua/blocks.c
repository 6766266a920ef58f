/* blocks.c: chunks that small blocks are cut from, and blocks that change their size. */
#include "lua/blocks.h"
#include <string.h>

#define CHUNK ((size_t)32 * 1024)

_Thread_local block_t *blocks_idle[BLOCKS_SMALL / BLOCKS_STEP];
/* What is left of the newest chunk. */
static _Thread_local char *chunk_next, *chunk_end;

void *blocks_carve(size_t size) {
    size_t whole = (size + BLOCKS_STEP - 1) / BLOCKS_STEP * BLOCKS_STEP;
    size_t left = (size_t)(chunk_end - chunk_next);
    if (left < whole) {
        char *chunk = malloc(CHUNK);
        if (!chunk) return NULL;
        if (left) blocks_free(chunk_next, left);
        chunk_next = chunk;
        chunk_end = chunk + CHUNK;
    }
    void *block = chunk_next;
    chunk_next += whole;
    return block;
}

void *blocks_resize(void *ptr, size_t old, size_t size) {
    if (!blocks_small(old) && !blocks_small(size)) return realloc(ptr, size);
    bool fits = blocks_small(old) && blocks_small(size) && blocks_list(old) == blocks_list(size);
    if (fits) return ptr;
    void *fresh = blocks_new(size);
    if (!fresh) return NULL;
    memcpy(fresh, ptr, old < size ? old : size);
    blocks_free(ptr, old);
    return fresh;
}

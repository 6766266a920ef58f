/* arena.h: memory that is freed all at once, and the list of goodbyes that runs when it is. */
#ifndef PERIGEE_BASE_ARENA_H
#define PERIGEE_BASE_ARENA_H
#include <stdarg.h>
#include <stddef.h>

typedef struct arena_block arena_block_t;
typedef struct arena_defer arena_defer_t;
typedef struct arena {
    arena_block_t *blocks; /* newest first */
    arena_defer_t *defers; /* newest first */
    char *next, *end;
} arena_t;

/* Fills memory the caller owns; allocates nothing. */
void arena_create(arena_t *arena);
/* Runs the goodbyes, newest first, then frees everything. The arena is empty and may be used again. */
void arena_destroy(arena_t *arena);
/* 16-byte aligned, not cleared; NULL when out of memory. Freed with the arena. */
void *arena_alloc(arena_t *arena, size_t size);
void *arena_zalloc(arena_t *arena, size_t size);
/* A copy of len bytes with a NUL behind them; NULL when out of memory. */
char *arena_dup(arena_t *arena, const char *text, size_t len);
char *arena_printf(arena_t *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As arena_destroy, but keeps the first block for what comes next. */
void arena_reset(arena_t *arena);
/* Registers fn(data) to run when the arena is destroyed. 0 or ERR_NO_MEMORY; then fn has already run, so that the
   caller need not release on two paths. */
int arena_defer(arena_t *arena, void (*fn)(void *data), void *data);

#endif

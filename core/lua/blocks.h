/* blocks.h: the memory under LuaJIT states: small blocks from lists by size, large ones from malloc. */
#ifndef PERIGEE_LUA_BLOCKS_H
#define PERIGEE_LUA_BLOCKS_H
#include <stddef.h>

/* realloc for who knows the old size: ptr holds `old` bytes from here, or is NULL with 0. Size 0 frees and gives NULL.
   NULL for any other size means out of memory, and ptr stands as it was. Small blocks stay with the thread for reuse
   by any state and are never given back to the system. An `old` that is too small wastes the difference; one that is
   too large is an error of the caller. */
void *blocks_realloc(void *ptr, size_t old, size_t size);

#endif

/* tzif.c: reads the 64-bit block of a TZif file of version 2 or later, or the 32-bit block of version 1. */
#include "base/tzif.h"
#include <stdlib.h>
#include "base/err.h"

#define HEADER_BYTES 44
#define TYPE_BYTES 6
#define OFFSET_MAX (26 * 3600)

/* The counts of a block's header, in the order of the file. */
typedef struct block {
    uint32_t isutc, isstd, leap, time, type, chars;
} block_t;

static uint32_t big32(const char *at) {
    const unsigned char *p = (const unsigned char *)at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t big_time(const char *at, size_t size) {
    if (size == 4) return (int32_t)big32(at);
    return (int64_t)((uint64_t)big32(at) << 32 | big32(at + 4));
}

static int read_header(span_t file, block_t *out, char *version) {
    if (file.len < HEADER_BYTES || memcmp(file.ptr, "TZif", 4) != 0) return ERR_INVALID;
    *version = file.ptr[4];
    uint32_t counts[6];
    for (size_t i = 0; i < 6; i++) {
        counts[i] = big32(file.ptr + 20 + 4 * i);
        if (counts[i] > 65535) return ERR_INVALID; /* far beyond any zone, and no overflow below */
    }
    *out = (block_t){counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
    return out->type ? 0 : ERR_INVALID;
}

static size_t block_bytes(const block_t *block, size_t size) {
    return block->time * (size + 1) + block->type * (size_t)TYPE_BYTES + block->chars +
           block->leap * (size + 4) + block->isstd + block->isutc;
}

static int offset_of(const char *types, const block_t *block, unsigned char type, int32_t *out) {
    if (type >= block->type) return ERR_INVALID;
    *out = (int32_t)big32(types + (size_t)type * TYPE_BYTES);
    return *out < -OFFSET_MAX || *out > OFFSET_MAX ? ERR_INVALID : 0;
}

static int read_block(const char *at, const block_t *block, size_t size, tzif_t *out) {
    const char *indexes = at + block->time * size;
    const char *types = indexes + block->time;
    out->times = malloc((block->time + 1) * sizeof *out->times);
    out->offsets = malloc((block->time + 1) * sizeof *out->offsets);
    if (!out->times || !out->offsets) return ERR_NO_MEMORY;
    int err = offset_of(types, block, 0, &out->first);
    for (size_t i = 0; i < block->time && !err; i++) {
        out->times[i] = big_time(at + i * size, size);
        if (i && out->times[i] <= out->times[i - 1]) return ERR_INVALID;
        err = offset_of(types, block, (unsigned char)indexes[i], &out->offsets[i]);
    }
    out->count = block->time;
    return err;
}

/* "\nTZ\n" behind the second block. */
static span_t read_footer(span_t rest) {
    if (!rest.len || rest.ptr[0] != '\n') return (span_t){"", 0};
    rest.ptr++, rest.len--;
    return span_cut(&rest, '\n');
}

int tzif_parse(span_t file, tzif_t *out, span_t *footer) {
    block_t block;
    char version;
    *out = (tzif_t){0};
    *footer = (span_t){"", 0};
    if (read_header(file, &block, &version) != 0) return ERR_INVALID;
    size_t size = 4;
    if (version >= '2') {
        size_t skip = HEADER_BYTES + block_bytes(&block, 4);
        if (file.len < skip) return ERR_INVALID;
        file.ptr += skip, file.len -= skip;
        if (read_header(file, &block, &version) != 0) return ERR_INVALID;
        size = 8;
    }
    size_t total = HEADER_BYTES + block_bytes(&block, size);
    if (file.len < total) return ERR_INVALID;
    int err = read_block(file.ptr + HEADER_BYTES, &block, size, out);
    if (!err && size == 8) *footer = read_footer((span_t){file.ptr + total, file.len - total});
    return err;
}

void tzif_destroy(tzif_t *tzif) {
    free(tzif->times);
    free(tzif->offsets);
    *tzif = (tzif_t){0};
}

bool tzif_offset(const tzif_t *tzif, int64_t seconds, int *offset) {
    size_t low = 0, high = tzif->count; /* the number of transitions at or before the time */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tzif->times[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    *offset = low ? tzif->offsets[low - 1] : tzif->first;
    return low == tzif->count;
}

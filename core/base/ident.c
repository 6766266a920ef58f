/* ident.c: ids that sort by time, tokens nobody can guess, digests. */
#include "base/ident.h"
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/clock.h"

/* The last id's milliseconds and 12-bit counter in one word: taking the greater of "now" and "last + 1" keeps ids in
   order when the clock stands still or steps back, whichever thread asks. */
static uint64_t next_stamp(void) {
    static _Atomic uint64_t last;
    uint64_t now = (uint64_t)clock_wall_ms() << 12;
    uint64_t seen = atomic_load(&last), next;
    do
        next = now > seen ? now : seen + 1;
    while (!atomic_compare_exchange_weak(&last, &seen, next));
    return next;
}

void ident_uuid(char out[37]) {
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[16];
    uint64_t stamp = next_stamp();
    randombytes_buf(bytes + 8, 8);
    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)(stamp >> (52 - 8 * i));
    bytes[6] = (unsigned char)(0x70 | ((stamp >> 8) & 0x0F));
    bytes[7] = (unsigned char)stamp;
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3F));
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        *out++ = hex[bytes[i] >> 4];
        *out++ = hex[bytes[i] & 15];
    }
    *out = '\0';
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool ident_is_uuid(span_t text) {
    if (text.len != 36) return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.ptr[i] != '-' : !is_hex(text.ptr[i])) return false;
    }
    return true;
}

void ident_token(char *out, size_t n) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    while (n) {
        unsigned char bytes[3] = {0};
        size_t take = n < 3 ? n : 3;
        randombytes_buf(bytes, take);
        uint32_t bits = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
        for (size_t i = 0; i <= take; i++)
            *out++ = letters[(bits >> (18 - 6 * i)) & 63];
        n -= take;
    }
    *out = '\0';
}

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(ident_hash_t), "the state must fit");

static crypto_hash_sha256_state *state_of(ident_hash_t *hash) {
    return (crypto_hash_sha256_state *)(void *)hash->state;
}

void ident_hash_start(ident_hash_t *hash) {
    crypto_hash_sha256_init(state_of(hash));
}

void ident_hash_add(ident_hash_t *hash, span_t part) {
    if (part.len)
        crypto_hash_sha256_update(state_of(hash), (const unsigned char *)part.ptr, part.len);
}

void ident_hash_end(ident_hash_t *hash, char out[65]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(state_of(hash), digest);
    sodium_bin2hex(out, 65, digest, sizeof digest);
}

void ident_sha256(span_t text, char out[65]) {
    ident_hash_t hash;
    ident_hash_start(&hash);
    ident_hash_add(&hash, text);
    ident_hash_end(&hash, out);
}

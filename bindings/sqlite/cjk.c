/* cjk.c: sets characters of scripts that are written without spaces apart from each other. */
#include "sqlite/cjk.h"

static const struct {
    uint32_t first, last;
} ranges[] = {
    {0x3005, 0x3007},   /* the repetition mark, zero */
    {0x3041, 0x3096},   /* hiragana, without the marks that stand apart from their letter */
    {0x309D, 0x30FF},   /* its repetition marks; katakana with its long vowel */
    {0x3105, 0x312F},   /* bopomofo */
    {0x31F0, 0x31FF},   /* small katakana */
    {0x3400, 0x4DBF},   /* ideographs, extension A */
    {0x4E00, 0x9FFF},   /* ideographs */
    {0xAC00, 0xD7A3},   /* hangul syllables */
    {0xF900, 0xFAFF},   /* compatibility ideographs */
    {0xFF66, 0xFF9D},   /* katakana of half the width */
    {0x20000, 0x323AF}, /* ideographs, extensions B to H */
};

static bool is_cjk(uint32_t point) {
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (point >= ranges[i].first && point <= ranges[i].last) return true;
    return false;
}

/* How many bytes the character at the start has, and its number; a byte that starts none is one of its own. */
static size_t next(span_t text, uint32_t *point) {
    unsigned char lead = (unsigned char)text.ptr[0];
    size_t len = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    *point = 0;
    if (len > text.len || !span_is_utf8((span_t){text.ptr, len})) return 1;
    *point = len == 1 ? lead : lead & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++)
        *point = *point << 6 | ((unsigned char)text.ptr[i] & 0x3Fu);
    return len;
}

/* All of them begin with a byte from E3 on. */
bool cjk_any(span_t text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0xE3) return true;
    return false;
}

void cjk_apart(span_t text, buf_t *out) {
    bool before = false;
    size_t start = out->len;
    while (text.len) {
        uint32_t point;
        size_t len = next(text, &point);
        bool now = is_cjk(point);
        bool joined = out->len > start && out->ptr[out->len - 1] != ' ' && text.ptr[0] != ' ';
        if ((now || before) && joined) buf_char(out, ' ');
        buf_put(out, text.ptr, len);
        before = now;
        text = (span_t){text.ptr + len, text.len - len};
    }
}

/* edit_distance.c: the optimal string alignment distance over code points, cut off at a bound. */
#include "sqlite/edit_distance.h"
#include <stdlib.h>

/* Code points of well-formed UTF-8; -1 when there are too many of them or it is not well-formed. */
static int decode(span_t text, uint32_t *out) {
    int count = 0;
    if (!span_is_utf8(text)) return -1;
    for (size_t i = 0; i < text.len; count++) {
        unsigned char lead = (unsigned char)text.ptr[i++];
        uint32_t point = lead < 0x80   ? lead
                         : lead < 0xe0 ? lead & 0x1fu
                         : lead < 0xf0 ? lead & 0x0fu
                                       : lead & 0x07u;
        while (i < text.len && ((unsigned char)text.ptr[i] & 0xc0) == 0x80)
            point = point << 6 | ((unsigned char)text.ptr[i++] & 0x3fu);
        if (count == EDIT_DISTANCE_LETTERS) return -1;
        out[count] = point;
    }
    return count;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* rows[0] is filled from rows[1] (the row before) and rows[2] (the one before that); answers its least entry. */
static int fill(int *rows[3], const uint32_t *a, int i, const uint32_t *b, int nb) {
    int lowest = rows[0][0] = i;
    for (int j = 1; j <= nb; j++) {
        int cost = a[i - 1] != b[j - 1];
        int best = least(least(rows[1][j] + 1, rows[0][j - 1] + 1), rows[1][j - 1] + cost);
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            best = least(best, rows[2][j - 2] + 1);
        rows[0][j] = best;
        lowest = least(lowest, best);
    }
    return lowest;
}

int edit_distance(span_t a, span_t b, int most) {
    uint32_t pa[EDIT_DISTANCE_LETTERS], pb[EDIT_DISTANCE_LETTERS];
    int space[3][EDIT_DISTANCE_LETTERS + 1] = {{0}};
    int *rows[3] = {space[0], space[1], space[2]};
    int na = decode(a, pa), nb = decode(b, pb), before = 0;
    if (na < 0 || nb < 0 || abs(na - nb) > most) return most + 1;
    for (int j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (int i = 1; i <= na; i++) {
        int *oldest = rows[2];
        rows[2] = rows[1];
        rows[1] = rows[0];
        rows[0] = oldest;
        int lowest = fill(rows, pa, i, pb, nb);
        /* A swap reaches back two rows, so only two bad rows in turn prove that the bound is lost. */
        if (lowest > most && before > most) return most + 1;
        before = lowest;
    }
    return least(rows[0][nb], most + 1);
}

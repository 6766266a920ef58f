/* edit_distance.h: how many typing mistakes lie between two words. */
#ifndef PERIGEE_SQLITE_EDIT_DISTANCE_H
#define PERIGEE_SQLITE_EDIT_DISTANCE_H
#include "base/bytes.h"

#define EDIT_DISTANCE_LETTERS 64

/* Insertions, deletions, replacements and swaps of neighbours between two UTF-8 words, counted in letters. Anything
   above most is answered as most + 1, early. Words over 64 letters, or not UTF-8, are most + 1. */
int edit_distance(span_t a, span_t b, int most);

#endif

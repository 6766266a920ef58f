/* list.h: an intrusive doubly linked ring; an element is in exactly one list or in none. */
#ifndef PERIGEE_BASE_LIST_H
#define PERIGEE_BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>

typedef struct list {
    struct list *next, *prev;
} list_t;

#define LIST_OWNER(node, type, field) ((type *)((char *)(node)-offsetof(type, field)))

/* Makes an empty head, or a node that is in no list. */
static inline void list_init(list_t *list) {
    list->next = list->prev = list;
}
static inline bool list_empty(const list_t *list) {
    return list->next == list;
}
static inline void list_push(list_t *head, list_t *node) {
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
/* Takes the node out of whatever list it is in; a node that is in none stays so. */
static inline void list_remove(list_t *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
/* Takes out the first node; NULL when the list is empty. */
static inline list_t *list_shift(list_t *head) {
    if (list_empty(head)) return NULL;
    list_t *node = head->next;
    list_remove(node);
    return node;
}
/* Moves everything in `from` to the end of `to`: detach a queue with this, then drain it. */
static inline void list_splice(list_t *to, list_t *from) {
    if (list_empty(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif

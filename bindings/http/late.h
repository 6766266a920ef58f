/* late.h: libcurl's functions, looked up when the first request is made: the library costs 7 MB and start-up time. */
#ifndef PERIGEE_HTTP_LATE_H
#define PERIGEE_HTTP_LATE_H
#include <curl/curl.h>
#include <stddef.h>

#define LATE_LIST(X)                                                                               \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_strerror)                                                                               \
    X(easy_perform)                                                                                \
    X(easy_cleanup)                                                                                \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(multi_init)                                                                                  \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_assign)                                                                                \
    X(multi_socket_action)                                                                         \
    X(multi_info_read)                                                                             \
    X(multi_cleanup)

typedef struct late {
#define X(name) __typeof__(curl_##name) *name;
    LATE_LIST(X)
#undef X
} late_t;

/* Opens the library the first time; it stays for the life of the process. Takes milliseconds: call it on a thread. 0,
   or ERR_UNAVAILABLE with a sentence in why. */
int late_open(const late_t **out, char *why, size_t size);

#endif

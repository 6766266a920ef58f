/* resolver_rig.h: a resolver instead of the system's: it knows addresses and names under .test, and hangs over these
   when told to. */
#ifndef PERIGEE_TESTS_RESOLVER_RIG_H
#define PERIGEE_TESTS_RESOLVER_RIG_H
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_moved = PTHREAD_COND_INITIALIZER;
static bool resolver_hangs;
static int resolver_inside;
/* What two.test means; ports of zero stand for the one that was asked for. */
static struct sockaddr_in resolver_first = {.sin_family = AF_INET},
                          resolver_second = {.sin_family = AF_INET};

static inline void resolver_hang(void) {
    pthread_mutex_lock(&resolver_lock);
    resolver_hangs = true;
    pthread_mutex_unlock(&resolver_lock);
}

static inline void resolver_go_on(void) {
    pthread_mutex_lock(&resolver_lock);
    resolver_hangs = false;
    pthread_cond_broadcast(&resolver_moved);
    pthread_mutex_unlock(&resolver_lock);
}

/* Until so many are being looked up. */
static inline void resolver_await(int count) {
    pthread_mutex_lock(&resolver_lock);
    while (resolver_inside != count)
        pthread_cond_wait(&resolver_moved, &resolver_lock);
    pthread_mutex_unlock(&resolver_lock);
}

static inline struct addrinfo *resolver_info(
    const struct sockaddr_in *address, const char *service, struct addrinfo *next) {
    struct addrinfo *info = calloc(1, sizeof *info + sizeof *address);
    struct sockaddr_in *copy = (struct sockaddr_in *)(info + 1);
    *copy = *address;
    if (!copy->sin_port) copy->sin_port = htons((uint16_t)atoi(service));
    *info = (struct addrinfo){.ai_family = AF_INET,
        .ai_socktype = SOCK_STREAM,
        .ai_addr = (struct sockaddr *)copy,
        .ai_addrlen = sizeof *copy,
        .ai_next = next};
    return info;
}

/* The program's own comes before the C library's. */
int getaddrinfo(
    const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    (void)hints;
    if (host && inet_pton(AF_INET, host, &address.sin_addr) == 1) {
        *found = resolver_info(&address, service ? service : "0", NULL);
        return 0;
    }
    pthread_mutex_lock(&resolver_lock);
    resolver_inside++;
    pthread_cond_broadcast(&resolver_moved);
    while (resolver_hangs)
        pthread_cond_wait(&resolver_moved, &resolver_lock);
    resolver_inside--;
    pthread_cond_broadcast(&resolver_moved);
    pthread_mutex_unlock(&resolver_lock);
    if (strcmp(host, "two.test") != 0) return EAI_NONAME;
    *found =
        resolver_info(&resolver_first, service, resolver_info(&resolver_second, service, NULL));
    return 0;
}

void freeaddrinfo(struct addrinfo *found) {
    for (struct addrinfo *next; found; found = next) {
        next = found->ai_next;
        free(found);
    }
}

#endif

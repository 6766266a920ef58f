/* zone.c: the calendar of a time zone, read from the system's tz database and kept for the life of the process. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/civil.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "base/tzif.h"
#include "base/tzrule.h"

#define FOLDER "/usr/share/zoneinfo/"
#define NAME_MAX_BYTES 64
#define FILE_MAX_BYTES (256 * 1024)

struct zone {
    tzif_t table;  /* what was, transition by transition */
    tzrule_t rule; /* what comes behind the last transition, when the file says */
    bool has_rule;
};

static struct {
    pthread_mutex_t lock;
    map_t zones; /* name → zone_t */
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The name becomes part of a path: only what names of zones consist of, and no dots. */
static bool valid_name(span_t name) {
    if (!name.len || name.len > NAME_MAX_BYTES || name.ptr[0] == '/') return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && !memchr("/_+-", c, 4)) return false;
    }
    return true;
}

static int read_file(const char *path, buf_t *out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return ERR_NOT_FOUND;
    ssize_t got = 1;
    while (got > 0 && out->len < FILE_MAX_BYTES) {
        char *room = buf_reserve(out, 4096);
        got = room ? read(fd, room, 4096) : -1;
        if (got > 0) out->len += (size_t)got;
    }
    close(fd);
    return got == 0 ? 0 : ERR_NOT_FOUND;
}

static void zone_delete(zone_t *zone) {
    tzif_destroy(&zone->table);
    free(zone);
}

static int parse(span_t file, zone_t *zone) {
    span_t footer;
    int err = tzif_parse(file, &zone->table, &footer);
    if (err || !footer.len) return err;
    zone->has_rule = true;
    return tzrule_parse(footer, &zone->rule);
}

/* A machine without the database still knows UTC. */
static int load(span_t name, zone_t *zone) {
    char path[sizeof FOLDER + NAME_MAX_BYTES];
    snprintf(path, sizeof path, FOLDER "%.*s", (int)name.len, name.ptr);
    buf_t file;
    buf_create(&file);
    int err = read_file(path, &file);
    if (!err) err = parse(buf_view(&file), zone);
    if (err == ERR_NOT_FOUND && span_eq(name, SPAN("UTC"))) err = 0;
    buf_destroy(&file);
    return err;
}

static int load_new(span_t name, zone_t **out) {
    zone_t *zone = calloc(1, sizeof *zone);
    if (!zone) return ERR_NO_MEMORY;
    int err = load(name, zone);
    if (!err) err = map_set(&cache.zones, name, zone, NULL);
    if (err)
        zone_delete(zone);
    else
        *out = zone;
    return err;
}

int zone_open(span_t name, const zone_t **out) {
    if (!valid_name(name)) return ERR_NOT_FOUND;
    pthread_mutex_lock(&cache.lock);
    zone_t *zone = map_get(&cache.zones, name);
    int err = zone ? 0 : load_new(name, &zone);
    pthread_mutex_unlock(&cache.lock);
    if (!err) *out = zone;
    return err;
}

static int offset_at(const zone_t *zone, int64_t seconds) {
    int offset = 0;
    bool last = tzif_offset(&zone->table, seconds, &offset);
    return last && zone->has_rule ? tzrule_offset(&zone->rule, seconds) : offset;
}

void zone_calendar(const zone_t *zone, int64_t wall_ms, calendar_t *out) {
    int64_t seconds = civil_floor(wall_ms, 1000);
    int offset = offset_at(zone, seconds);
    seconds += offset;
    int64_t days = civil_floor(seconds, 86400);
    int of_day = (int)(seconds - days * 86400);
    civil_t day;
    civil_from_days(days, &day);
    *out = (calendar_t){day.year, day.month, day.day, of_day / 3600, of_day / 60 % 60, of_day % 60,
        civil_weekday(days), (int)civil_floor(offset, 60)};
}

/* test_pool.c: connections of a made-up engine are opened, shared, cleaned, kept, lost and closed as its pool says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/pool.h"

#define FAR_MS 3600000

/* Its servers are known by the first letter of a key. */
typedef struct engine {
    loop_t *loop;
    pool_t *pool;
    bool unknown, down, starved, hopeless;
    int opened, alive;
} engine_t;

typedef struct conn {
    pooled_t pooled;
    engine_t *engine;
    char server;
    int number;
    bool lost, dirty;
} conn_t;

typedef struct user {
    lease_t lease;
    int got;
} user_t;

static engine_t engine;
static char SERVERS[] = "ab";

static conn_t *conn_of(const pooled_t *pooled) {
    return LIST_OWNER(pooled, conn_t, pooled);
}

static void *server(void *data, span_t key) {
    (void)data;
    return engine.unknown ? NULL : &SERVERS[key.len && key.ptr[0] == 'b'];
}

static const char *fault(const void *at) {
    (void)at;
    return engine.down ? "it is down" : NULL;
}

static bool leads_to(const pooled_t *pooled, const void *at) {
    return conn_of(pooled)->server == *(const char *)at;
}

static pooled_t *open_one(void *data, void *at) {
    if (engine.starved) return NULL;
    conn_t *conn = calloc(1, sizeof *conn);
    assert_non_null(conn);
    conn->engine = data;
    conn->server = *(char *)at;
    conn->number = ++engine.opened;
    engine.alive++;
    return &conn->pooled;
}

static void close_one(pooled_t *pooled) {
    engine.alive--;
    free(conn_of(pooled));
}

static pooled_fate_t fate(const pooled_t *pooled, bool clean) {
    const conn_t *conn = conn_of(pooled);
    if (conn->lost) return POOLED_CLOSE;
    return clean && !conn->dirty ? POOLED_KEEP : POOLED_CLEAN;
}

static void clean(pooled_t *pooled) {
    conn_of(pooled)->dirty = true;
    if (engine.hopeless) pooled_drop(pooled);
}

static const pool_ops_t OPS = {.server = server,
    .fault = fault,
    .leads_to = leads_to,
    .open = open_one,
    .close = close_one,
    .fate = fate,
    .clean = clean};

static void begin(pool_options_t options) {
    engine = (engine_t){.loop = loop_new()};
    assert_non_null(engine.loop);
    options.loop = engine.loop;
    options.ops = &OPS;
    options.engine = &engine;
    if (!options.waiting) options.waiting = 10;
    if (!options.connect_ms) options.connect_ms = FAR_MS;
    if (!options.clean_ms) options.clean_ms = FAR_MS;
    engine.pool = pool_new(&options);
    assert_non_null(engine.pool);
    assert_ptr_equal(pool_engine(engine.pool), &engine);
}

static void end(void) {
    if (engine.pool) pool_delete(engine.pool);
    engine.pool = NULL;
    assert_int_equal(engine.alive, 0);
    loop_delete(engine.loop);
}

/* Every connection that lives is in one list. */
static void turn(void) {
    for (int i = 0; i < 3; i++)
        loop_turn(engine.loop, 0);
    if (!engine.pool) return;
    pool_counts_t counts = pool_counts(engine.pool);
    int sum = 0;
    for (int i = 0; i < POOLED_STATES; i++)
        sum += counts.of[i];
    assert_int_equal(sum, engine.alive);
}

static int count(pooled_state_t state) {
    return pool_counts(engine.pool).of[state];
}

static void on_got(lease_t *lease) {
    ((user_t *)lease->data)->got++;
}

static int ask_at(user_t *user, const char *tenant, const char *key, uint64_t deadline_ms) {
    *user = (user_t){.lease = {.tenant = span_of(tenant),
                         .key = span_of(key),
                         .deadline_ms = deadline_ms,
                         .got = on_got,
                         .data = user}};
    int err = lease_begin(engine.pool, &user->lease);
    assert_int_equal(user->got, 0); /* never inside */
    return err;
}

static void ask(user_t *user, const char *tenant) {
    assert_int_equal(ask_at(user, tenant, "", 0), 0);
}

/* The connection that waits to be open for this one. */
static void up(user_t *user) {
    assert_int_equal(user->lease.pooled->state, POOLED_OPENING);
    pooled_up(user->lease.pooled);
}

static void get(user_t *user, const char *tenant) {
    ask(user, tenant);
    if (user->lease.pooled->state == POOLED_OPENING) up(user);
    turn();
    assert_int_equal(user->got, 1);
    assert_int_equal(user->lease.err, 0);
    assert_non_null(lease_pooled(&user->lease));
}

static int number(const user_t *user) {
    return conn_of(lease_pooled(&user->lease))->number;
}

static void test_the_last_used_serves_the_next(void **state) {
    (void)state;
    user_t first, second;
    begin((pool_options_t){.most = 4, .idle = 4});
    get(&first, "a");
    get(&second, "b");
    lease_end(&second.lease, true);
    lease_end(&first.lease, true);
    assert_null(lease_pooled(&first.lease));
    assert_int_equal(count(POOLED_IDLE), 2);
    get(&second, "b");
    assert_int_equal(number(&second), 1);
    assert_int_equal(engine.opened, 2);
    lease_end(&second.lease, true);
    end();
}

static void test_no_more_than_that(void **state) {
    (void)state;
    user_t first, second, third, fourth;
    begin((pool_options_t){.most = 2, .idle = 1, .waiting = 1});
    get(&first, "a");
    get(&second, "b");
    ask(&third, "c");
    assert_int_equal(ask_at(&fourth, "d", "", 0), ERR_BUSY);
    turn();
    assert_int_equal(third.got, 0);
    lease_end(&first.lease, true);
    turn();
    assert_int_equal(third.got, 1);
    assert_int_equal(engine.opened, 2);
    lease_end(&second.lease, true);
    lease_end(&third.lease, true); /* one idle is enough */
    assert_int_equal(engine.alive, 1);
    end();
}

static void test_no_tenant_has_them_all(void **state) {
    (void)state;
    user_t greedy[3], modest;
    begin((pool_options_t){.most = 4, .idle = 4});
    get(&greedy[0], "greedy");
    get(&greedy[1], "greedy");
    ask(&greedy[2], "greedy");
    turn();
    assert_int_equal(greedy[2].got, 0);
    get(&modest, "modest");
    lease_end(&greedy[0].lease, true);
    turn();
    assert_int_equal(greedy[2].got, 1);
    end();
}

/* A connection that is opening for nobody any more serves the next. */
static void test_a_deadline(void **state) {
    (void)state;
    user_t hasty, next;
    begin((pool_options_t){.most = 1, .idle = 1});
    assert_int_equal(ask_at(&hasty, "a", "", loop_now(engine.loop) + 1), 0);
    while (!hasty.got)
        loop_turn(engine.loop, 20);
    assert_int_equal(hasty.lease.err, ERR_TIMEOUT);
    lease_end(&hasty.lease, true);
    assert_int_equal(count(POOLED_OPENING), 1);
    get(&next, "b");
    assert_int_equal(number(&next), 1);
    /* In the queue. */
    assert_int_equal(ask_at(&hasty, "a", "", loop_now(engine.loop) + 1), 0);
    while (!hasty.got)
        loop_turn(engine.loop, 20);
    assert_int_equal(hasty.lease.err, ERR_TIMEOUT);
    assert_int_equal(pool_counts(engine.pool).waiting, 0);
    lease_end(&next.lease, true);
    end();
}

static void test_one_that_cannot_be_opened(void **state) {
    (void)state;
    user_t first, second;
    begin((pool_options_t){.most = 1, .idle = 1});
    ask(&first, "a");
    ask(&second, "b");
    pooled_down(first.lease.pooled, "nobody listens");
    assert_int_equal(first.got, 1);
    assert_int_equal(first.lease.err, ERR_UNAVAILABLE);
    assert_string_equal(first.lease.detail, "nobody listens");
    up(&second);
    assert_int_equal(second.got, 1);
    lease_end(&first.lease, false);
    lease_end(&second.lease, true);
    engine.starved = true;
    assert_int_equal(ask_at(&first, "a", "b", 0), 0); /* another server, and no memory: it waits */
    turn();
    assert_int_equal(first.got, 0);
    end();
    assert_int_equal(first.lease.err, ERR_CLOSED);
}

static void test_a_server_that_is_down_is_not_dialled(void **state) {
    (void)state;
    user_t first, second;
    begin((pool_options_t){.most = 2, .idle = 2});
    engine.down = true;
    ask(&first, "a");
    ask(&second, "b");
    lease_end(&second.lease, false); /* before its `got` */
    turn();
    assert_int_equal(first.got, 1);
    assert_int_equal(first.lease.err, ERR_UNAVAILABLE);
    assert_string_equal(first.lease.detail, "it is down");
    assert_int_equal(second.got, 0);
    assert_int_equal(engine.opened, 0);
    lease_end(&first.lease, false);
    end();
}

static void test_a_server_that_is_not_known_yet(void **state) {
    (void)state;
    user_t user;
    begin((pool_options_t){.most = 2, .idle = 2, .least = 2});
    engine.unknown = true;
    ask(&user, "a");
    turn();
    assert_int_equal(engine.opened, 0);
    engine.unknown = false;
    pool_serve(engine.pool);
    up(&user);
    assert_int_equal(user.got, 1);
    lease_end(&user.lease, true);
    end();
}

static void test_an_idle_one_makes_room_for_another_server(void **state) {
    (void)state;
    user_t user, next;
    begin((pool_options_t){.most = 1, .idle = 1});
    get(&user, "a");
    lease_end(&user.lease, true);
    assert_int_equal(ask_at(&next, "a", "b", 0), 0);
    up(&next);
    assert_int_equal(number(&next), 2);
    assert_int_equal(engine.alive, 1);
    lease_end(&next.lease, true);
    end();
}

static void test_cleaned_before_the_next(void **state) {
    (void)state;
    user_t user, next;
    begin((pool_options_t){.most = 1, .idle = 1});
    get(&user, "a");
    pooled_t *pooled = lease_pooled(&user.lease);
    ask(&next, "b");
    lease_end(&user.lease, false);
    turn();
    assert_int_equal(count(POOLED_CLEANING), 1);
    assert_int_equal(next.got, 0);
    conn_of(pooled)->dirty = false;
    pooled_cleaned(pooled);
    turn();
    assert_int_equal(next.got, 1);
    assert_int_equal(number(&next), 1);
    lease_end(&next.lease, false);
    ask(&user, "a");
    pooled_drop(pooled); /* it cannot be cleaned: another takes its place */
    up(&user);
    assert_int_equal(number(&user), 2);
    pooled = lease_pooled(&user.lease);
    lease_end(&user.lease, false);
    pooled_down(pooled, "it went"); /* meanwhile */
    turn();
    end();
}

static void test_it_turns_out_at_once_that_it_cannot_be_cleaned(void **state) {
    (void)state;
    user_t user, next;
    begin((pool_options_t){.most = 1, .idle = 1});
    engine.hopeless = true;
    get(&user, "a");
    ask(&next, "b");
    lease_end(&user.lease, false);
    up(&next);
    assert_int_equal(number(&next), 2);
    turn();
    lease_end(&next.lease, true);
    end();
}

static void test_cleaning_takes_no_longer_than_that(void **state) {
    (void)state;
    user_t user, next;
    begin((pool_options_t){.most = 1, .idle = 1, .clean_ms = 1});
    get(&user, "a");
    ask(&next, "b");
    lease_end(&user.lease, false);
    while (engine.opened == 1)
        loop_turn(engine.loop, 20);
    up(&next);
    assert_int_equal(number(&next), 2);
    assert_int_equal(engine.alive, 1);
    lease_end(&next.lease, true);
    end();
}

/* Its holder learns of it by what it sends; the place is free only when it comes back. */
static void test_lost_in_a_hand(void **state) {
    (void)state;
    user_t user, next;
    begin((pool_options_t){.most = 1, .idle = 1});
    get(&user, "a");
    pooled_t *pooled = lease_pooled(&user.lease);
    conn_of(pooled)->lost = true;
    pooled_down(pooled, "it went");
    turn();
    assert_ptr_equal(lease_pooled(&user.lease), pooled);
    assert_int_equal(user.got, 1);
    lease_end(&user.lease, true);
    assert_int_equal(engine.alive, 0);
    get(&next, "b");
    lease_end(&next.lease, true);
    end();
}

static void test_ended_before_it_came(void **state) {
    (void)state;
    user_t user, other;
    begin((pool_options_t){.most = 1, .idle = 1});
    get(&user, "a");
    ask(&other, "b");
    lease_end(&other.lease, true); /* in the queue */
    lease_end(&user.lease, true);
    ask(&user, "a");
    lease_end(&user.lease, true); /* `got` was on its way */
    turn();
    assert_int_equal(user.got, 0);
    assert_int_equal(other.got, 0);
    assert_int_equal(count(POOLED_IDLE), 1);
    end();
}

static void on_got_and_done(lease_t *lease) {
    ((user_t *)lease->data)->got++;
    lease_end(lease, true);
    memset(lease, 0xff, sizeof *lease); /* it was its user's memory */
}

static user_t *ask_briefly(const char *tenant) {
    static user_t users[8];
    static size_t used;
    user_t *user = &users[used++ % 8];
    *user = (user_t){.lease = {.tenant = span_of(tenant), .got = on_got_and_done, .data = user}};
    assert_int_equal(lease_begin(engine.pool, &user->lease), 0);
    return user;
}

static void test_given_back_as_it_comes(void **state) {
    (void)state;
    begin((pool_options_t){.most = 1, .idle = 1});
    user_t *first = ask_briefly("a"), *second = ask_briefly("b"), *third = ask_briefly("c");
    up(first); /* the second is next, with what the first had */
    turn();
    turn();
    assert_int_equal(first->got + second->got + third->got, 3);
    assert_int_equal(engine.opened, 1);
    assert_int_equal(count(POOLED_IDLE), 1);
    engine.down = true;
    first = ask_briefly("a");
    turn();
    assert_int_equal(first->got, 1);
    engine.down = false;
    first = ask_briefly("a");
    second = ask_briefly("b");
    pool_delete(engine.pool);
    engine.pool = NULL;
    turn();
    assert_int_equal(first->got + second->got, 2);
    end();
    begin((pool_options_t){.most = 1, .idle = 0});
    first = ask_briefly("a");
    second = ask_briefly("b");
    pooled_down(first->lease.pooled, "nobody listens");
    assert_int_equal(first->got, 1);
    up(second); /* and it is closed at once */
    assert_int_equal(second->got, 1);
    assert_int_equal(engine.alive, 0);
    end();
}

static void test_the_least_are_kept_open(void **state) {
    (void)state;
    begin((pool_options_t){.most = 4, .idle = 4, .least = 3});
    while (engine.opened < 3)
        loop_turn(engine.loop, 20);
    turn();
    assert_int_equal(count(POOLED_OPENING), 3);
    end();
}

static void test_the_end(void **state) {
    (void)state;
    user_t holder, opening, coming, waiting;
    begin((pool_options_t){.most = 3, .idle = 3});
    get(&holder, "a");
    get(&coming, "b");
    lease_end(&coming.lease, true);
    ask(&coming, "b");
    ask(&opening, "c");
    ask(&waiting, "d");
    pool_delete(engine.pool);
    engine.pool = NULL;
    assert_int_equal(coming.got + opening.got + waiting.got, 0);
    lease_end(&waiting.lease, false); /* does not want to hear of it */
    turn();
    assert_int_equal(coming.lease.err, ERR_CLOSED);
    assert_int_equal(coming.got, 1);
    assert_int_equal(opening.got, 1);
    assert_int_equal(waiting.got, 0);
    assert_int_equal(holder.got, 1); /* that it had it */
    assert_null(lease_pooled(&holder.lease));
    lease_end(&holder.lease, true);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_used_serves_the_next),
        cmocka_unit_test(test_no_more_than_that),
        cmocka_unit_test(test_no_tenant_has_them_all),
        cmocka_unit_test(test_a_deadline),
        cmocka_unit_test(test_one_that_cannot_be_opened),
        cmocka_unit_test(test_a_server_that_is_down_is_not_dialled),
        cmocka_unit_test(test_a_server_that_is_not_known_yet),
        cmocka_unit_test(test_an_idle_one_makes_room_for_another_server),
        cmocka_unit_test(test_cleaned_before_the_next),
        cmocka_unit_test(test_it_turns_out_at_once_that_it_cannot_be_cleaned),
        cmocka_unit_test(test_cleaning_takes_no_longer_than_that),
        cmocka_unit_test(test_lost_in_a_hand),
        cmocka_unit_test(test_ended_before_it_came),
        cmocka_unit_test(test_given_back_as_it_comes),
        cmocka_unit_test(test_the_least_are_kept_open),
        cmocka_unit_test(test_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

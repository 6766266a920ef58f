/* test_rollout.c: an edition reaches all workers or none; who cannot follow is replaced; the end is told once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/err.h"
#include "core/folder.h"
#include "core/slots_rig.h"
#include "rollout.h"

typedef struct stage {
    rig_t rig;
    char folder[256];
    shelf_t shelf;
    shelf_mark_t mark;
    rollouts_t rollouts;
    int ends, err;
    char error[200], source[SOURCE_MAX];
    bool again; /* starts the next rollout when this one ends */
} stage_t;

static void on_end(
    void *data, const char *source, const shelf_mark_t *mark, int err, const char *error) {
    stage_t *stage = data;
    stage->ends++;
    stage->err = err;
    snprintf(stage->error, sizeof stage->error, "%s", error);
    snprintf(stage->source, sizeof stage->source, "%s", source);
    assert_string_equal(mark->key, stage->mark.key);
    if (!stage->again) return;
    stage->again = false;
    assert_int_equal(rollout_start(&stage->rollouts, SOURCE_SCRIPTS, &stage->mark, NULL), 0);
}

static int set_up(void **state) {
    stage_t *stage = calloc(1, sizeof *stage);
    rig_open(&stage->rig);
    folder_create(stage->folder);
    memset(stage->mark.key, 'a', 64);
    memset(stage->mark.hash, 'b', 64);
    rollouts_create(&stage->rollouts, &stage->rig.slots, &stage->shelf, on_end, stage);
    *state = stage;
    return shelf_create(&stage->shelf, stage->folder);
}

static int tear_down(void **state) {
    stage_t *stage = *state;
    rollouts_destroy(&stage->rollouts);
    rig_close(&stage->rig);
    shelf_destroy(&stage->shelf);
    folder_destroy(stage->folder);
    free(stage);
    return 0;
}

static int64_t start(stage_t *stage, const char *source) {
    assert_int_equal(rollout_start(&stage->rollouts, source, &stage->mark, NULL), 0);
    return stage->rollouts.last_id;
}

static void answer(stage_t *stage, int index, const char *verb, int64_t id, const char *error) {
    message_t message = {.verb = verb, .answer = true, .ok = !error, .id = id, .error = error};
    rollouts_message(&stage->rollouts, &stage->rig.slots.all[index], &message);
}

static void answer_all(stage_t *stage, const char *verb, int64_t id) {
    for (int i = 0; i < RIG_WORKERS; i++)
        answer(stage, i, verb, id, NULL);
}

static void assert_all_heard(stage_t *stage, const char *verbs) {
    for (int i = 0; i < RIG_WORKERS; i++)
        assert_string_equal(rig_heard(&stage->rig, i), verbs);
}

/* The process of a doomed worker has been reaped: the master says so. */
static void lose(stage_t *stage, int index) {
    rig_reap(&stage->rig, index);
    rollouts_lost(&stage->rollouts, &stage->rig.slots.all[index]);
}

static void scripts_are_built_by_all_before_any_swaps(void **state) {
    stage_t *stage = *state;
    char path[SHELF_PATH_MAX];
    int64_t id = start(stage, SOURCE_SCRIPTS);
    assert_all_heard(stage, "scripts");
    shelf_path(&stage->shelf, SOURCE_SCRIPTS, stage->mark.key, path);
    assert_string_equal(stage->rig.path, path);
    assert_string_equal(stage->rig.hash, stage->mark.hash);
    answer(stage, 0, "scripts", id, NULL);
    answer(stage, 1, "scripts", id, NULL);
    assert_all_heard(stage, "");
    answer(stage, 2, "scripts", id, NULL);
    assert_all_heard(stage, "commit");
    assert_int_equal(stage->ends, 0);
    answer_all(stage, "commit", id);
    assert_int_equal(stage->ends, 1);
    assert_int_equal(stage->err, 0);
    assert_string_equal(stage->source, SOURCE_SCRIPTS);
}

static void one_that_cannot_build_keeps_all_on_the_old(void **state) {
    stage_t *stage = *state;
    int64_t id = start(stage, SOURCE_SCRIPTS);
    assert_all_heard(stage, "scripts");
    answer(stage, 1, "scripts", id, "main.lua:3: no");
    answer(stage, 0, "scripts", id, NULL);
    answer(stage, 2, "scripts", id, NULL);
    assert_all_heard(stage, "drop");
    assert_int_equal(stage->ends, 1);
    assert_int_equal(stage->err, ERR_UNPROCESSABLE);
    assert_string_equal(stage->error, "main.lua:3: no");
    assert_int_equal(slots_ready(&stage->rig.slots), RIG_WORKERS);
}

static void one_that_dies_while_it_builds_is_a_reason_to_try_again(void **state) {
    stage_t *stage = *state;
    int64_t id = start(stage, SOURCE_SCRIPTS);
    answer(stage, 0, "scripts", id, NULL);
    answer(stage, 2, "scripts", id, NULL);
    slot_doom(&stage->rig.slots.all[1], "worker_stuck");
    lose(stage, 1);
    assert_string_equal(rig_heard(&stage->rig, 0), "scripts drop");
    assert_int_equal(stage->ends, 1);
    assert_int_equal(stage->err, ERR_CLOSED);
}

/* Its own reason counts, whoever dies beside it. */
static void a_refusal_outweighs_a_death(void **state) {
    stage_t *stage = *state;
    int64_t id = start(stage, SOURCE_SCRIPTS);
    slot_doom(&stage->rig.slots.all[0], "worker_stuck");
    lose(stage, 0);
    answer(stage, 1, "scripts", id, "refused");
    answer(stage, 2, "scripts", id, NULL);
    assert_int_equal(stage->err, ERR_UNPROCESSABLE);
}

static void one_that_cannot_swap_is_replaced(void **state) {
    stage_t *stage = *state;
    int64_t id = start(stage, SOURCE_SCRIPTS);
    answer_all(stage, "scripts", id);
    answer(stage, 0, "commit", id, NULL);
    answer(stage, 1, "commit", id, "it is gone");
    answer(stage, 2, "commit", id, NULL);
    assert_int_equal(stage->rig.slots.all[1].state, SLOT_DOOMED);
    assert_int_equal(stage->ends, 0);
    lose(stage, 1);
    assert_int_equal(stage->ends, 1);
    assert_int_equal(stage->err, 0);
}

static void rules_go_in_one_step(void **state) {
    stage_t *stage = *state;
    change_t change = {.id = "01936b5c-7a00-7000-8000-000000000001"};
    assert_int_equal(
        rollout_start(&stage->rollouts, SOURCE_TENANTS "acme", &stage->mark, &change), 0);
    assert_all_heard(stage, "rules");
    assert_string_equal(stage->rig.tenant, "acme");
    assert_string_equal(stage->rig.change, change.id);
    answer_all(stage, "rules", stage->rollouts.last_id);
    assert_int_equal(stage->ends, 1);
    assert_int_equal(stage->err, 0);
}

static void without_a_ready_worker_it_ends_at_once(void **state) {
    stage_t *stage = *state;
    for (int i = 0; i < RIG_WORKERS; i++)
        stage->rig.slots.all[i].state = SLOT_STARTING;
    start(stage, SOURCE_SCRIPTS);
    assert_int_equal(stage->ends, 1);
    assert_int_equal(stage->err, 0);
    assert_all_heard(stage, "");
}

/* Who starts while the others build has the edition before: it builds this one when they swap, and swaps when it
   has. */
static void one_that_starts_meanwhile_follows(void **state) {
    stage_t *stage = *state;
    slot_t *late = &stage->rig.slots.all[2];
    late->state = SLOT_STARTING;
    late->primed = true;
    int64_t id = start(stage, SOURCE_SCRIPTS);
    assert_string_equal(rig_heard(&stage->rig, 2), "");
    answer(stage, 0, "scripts", id, NULL);
    answer(stage, 1, "scripts", id, NULL);
    assert_string_equal(rig_heard(&stage->rig, 2), "scripts");
    answer(stage, 0, "commit", id, NULL);
    answer(stage, 1, "commit", id, NULL);
    assert_int_equal(stage->ends, 1);
    answer(stage, 2, "scripts", id, NULL);
    assert_string_equal(rig_heard(&stage->rig, 2), "commit");
}

/* What it was told last counts; an answer for what was before commits nothing. */
static void an_older_build_is_not_committed(void **state) {
    stage_t *stage = *state;
    slot_t *slot = &stage->rig.slots.all[0];
    int64_t first = rollout_send(&stage->rollouts, slot, SOURCE_SCRIPTS, &stage->mark, NULL);
    int64_t second = rollout_send(&stage->rollouts, slot, SOURCE_SCRIPTS, &stage->mark, NULL);
    answer(stage, 0, "scripts", first, NULL);
    assert_string_equal(rig_heard(&stage->rig, 0), "scripts scripts");
    answer(stage, 0, "scripts", second, NULL);
    assert_string_equal(rig_heard(&stage->rig, 0), "commit");
}

static void silence_ends_the_build_and_the_silent_in_the_swap(void **state) {
    stage_t *stage = *state;
    int64_t id = start(stage, SOURCE_SCRIPTS);
    answer(stage, 0, "scripts", id, NULL);
    rollouts_tick(&stage->rollouts, poller_now() + ROLLOUT_MS / 2);
    assert_int_equal(stage->ends, 0);
    rollouts_tick(&stage->rollouts, poller_now() + 2 * ROLLOUT_MS);
    assert_int_equal(stage->ends, 1);
    assert_int_equal(stage->err, ERR_TIMEOUT);
    assert_int_equal(slots_ready(&stage->rig.slots), RIG_WORKERS);
    id = start(stage, SOURCE_TENANTS "acme");
    answer(stage, 0, "rules", id, NULL);
    answer(stage, 1, "rules", id, NULL);
    rollouts_tick(&stage->rollouts, poller_now() + 2 * ROLLOUT_MS);
    assert_int_equal(stage->rig.slots.all[2].state, SLOT_DOOMED);
    lose(stage, 2);
    assert_int_equal(stage->ends, 2);
    assert_int_equal(stage->err, 0);
}

static void the_next_may_start_when_one_ends(void **state) {
    stage_t *stage = *state;
    stage->again = true;
    int64_t id = start(stage, SOURCE_SCRIPTS);
    answer_all(stage, "scripts", id);
    answer_all(stage, "commit", id);
    assert_int_equal(stage->ends, 1);
    assert_int_equal(stage->rollouts.last_id, id + 1);
    answer_all(stage, "scripts", id + 1);
    answer_all(stage, "commit", id + 1);
    assert_int_equal(stage->ends, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(scripts_are_built_by_all_before_any_swaps),
        TEST(one_that_cannot_build_keeps_all_on_the_old),
        TEST(one_that_dies_while_it_builds_is_a_reason_to_try_again),
        TEST(a_refusal_outweighs_a_death),
        TEST(one_that_cannot_swap_is_replaced),
        TEST(rules_go_in_one_step),
        TEST(without_a_ready_worker_it_ends_at_once),
        TEST(one_that_starts_meanwhile_follows),
        TEST(an_older_build_is_not_committed),
        TEST(silence_ends_the_build_and_the_silent_in_the_swap),
        TEST(the_next_may_start_when_one_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

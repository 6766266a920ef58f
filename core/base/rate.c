/* rate.c: reads rate limits, takes one request from a bucket, and says how much is left. */
#include "base/rate.h"
#include <stdio.h>
#include "base/err.h"

#define US 1000000u
#define DAY_S 86400u
#define PERIOD_MOST_S (366u * DAY_S)

static int refuse(char *why, size_t size, span_t text) {
    snprintf(why, size,
        "\"%.*s\" is not a rate such as 600/60s, 20/1h burst 5 or off (at most one request per "
        "microsecond, and "
        "366 days)",
        (int)(text.len < 64 ? text.len : 64), text.ptr);
    return ERR_INVALID;
}

/* "60s": 60 */
static bool read_period(span_t text, uint64_t *seconds) {
    if (text.len < 2) return false;
    uint64_t number, unit;
    switch (text.ptr[text.len - 1]) {
    case 's':
        unit = 1;
        break;
    case 'm':
        unit = 60;
        break;
    case 'h':
        unit = 3600;
        break;
    case 'd':
        unit = DAY_S;
        break;
    default:
        return false;
    }
    if (span_to_u64((span_t){text.ptr, text.len - 1}, &number) != 0) return false;
    if (number == 0 || number > PERIOD_MOST_S / unit) return false;
    *seconds = number * unit;
    return true;
}

/* "burst 100" or nothing */
static bool read_burst(span_t text, const rate_limit_t *rate, uint64_t *burst) {
    *burst = rate->count;
    if (text.len == 0) return true;
    if (!span_eq(span_cut(&text, ' '), SPAN("burst"))) return false;
    if (span_to_u64(span_trim(text), burst) != 0 || *burst == 0) return false;
    return *burst <= PERIOD_MOST_S * (uint64_t)US / rate_interval_us(rate);
}

int rate_read(span_t text, rate_limit_t *out, char *why, size_t size) {
    *out = (rate_limit_t){0};
    text = span_trim(text);
    if (text.len == 0 || span_eq(text, SPAN("off"))) return 0;
    span_t rest = text;
    span_t count = span_trim(span_cut(&rest, '/'));
    rest = span_trim(rest);
    span_t period = span_cut(&rest, ' ');
    rate_limit_t rate = {0};
    if (span_to_u64(count, &rate.count) != 0 || !read_period(period, &rate.period_s) ||
        rate.count == 0 || rate.count > rate.period_s * US ||
        !read_burst(span_trim(rest), &rate, &rate.burst))
        return refuse(why, size, text);
    *out = rate;
    return 0;
}

uint64_t rate_interval_us(const rate_limit_t *rate) {
    return (rate->period_s * US + rate->count - 1) / rate->count;
}

uint64_t rate_capacity_us(const rate_limit_t *rate) {
    return rate_interval_us(rate) * rate->burst;
}

int64_t rate_take(uint64_t *full_us, uint64_t now_us, uint64_t interval_us, uint64_t capacity_us) {
    if (*full_us > now_us + capacity_us) *full_us = now_us + capacity_us;
    uint64_t full = *full_us < now_us ? now_us : *full_us;
    if (full + interval_us > now_us + capacity_us) return -(int64_t)(full - now_us);
    *full_us = full + interval_us;
    return (int64_t)(*full_us - now_us);
}

static uint64_t seconds(uint64_t us) {
    return (us + US - 1) / US;
}

rate_state_t rate_tell(const rate_limit_t *rate, int64_t ahead_us) {
    uint64_t interval = rate_interval_us(rate), capacity = rate_capacity_us(rate);
    rate_state_t state = {.allowed = ahead_us > 0};
    uint64_t ahead = (uint64_t)(ahead_us > 0 ? ahead_us : -ahead_us);
    if (state.allowed) {
        state.remaining = ahead < capacity ? (capacity - ahead) / interval : 0;
        state.reset_s = seconds(ahead);
    } else {
        state.reset_s = seconds(ahead + interval > capacity ? ahead + interval - capacity : 1);
    }
    return state;
}

static void put_pair(buf_t *out, const char *first, uint64_t a, const char *second, uint64_t b) {
    buf_text(out, first);
    buf_u64(out, a);
    buf_text(out, second);
    buf_u64(out, b);
}

/* A bucket of another size than one period's requests is a policy of its own at the same pace. */
void rate_put_policy(buf_t *out, const rate_limit_t *rate) {
    buf_text(out, "RateLimit-Policy: \"default\"");
    put_pair(out, ";q=", rate->count, ";w=", rate->period_s);
    if (rate->burst != rate->count) {
        buf_text(out, ", \"burst\"");
        put_pair(out, ";q=", rate->burst, ";w=", seconds(rate_capacity_us(rate)));
    }
    buf_text(out, "\r\n");
}

void rate_put_state(buf_t *out, const rate_limit_t *rate, const rate_state_t *state) {
    buf_text(out, rate->burst == rate->count ? "RateLimit: \"default\"" : "RateLimit: \"burst\"");
    put_pair(out, ";r=", state->remaining, ";t=", state->reset_s);
    buf_text(out, "\r\n");
}

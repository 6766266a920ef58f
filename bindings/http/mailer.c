/* mailer.c: sends letters with libcurl on threads: its SMTP waits for the answer to QUIT, which a loop must not. */
#include "http/mailer.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "http/late.h"

#define THREADS 4
#define BOUND 100 /* letters waiting for a thread */

struct mailer {
    loop_t *loop;
    mail_server_t server;
    threads_t *threads; /* NULL until the first letter */
    list_t letters;     /* under way; the loop's */
    bool closing;
};

static void fail(letter_t *letter, int err, const char *detail) {
    letter->err = err;
    if (detail != letter->detail)
        snprintf(letter->detail, sizeof letter->detail, "%s", detail ? detail : err_text(err));
}

static size_t on_read(char *out, size_t one, size_t room, void *data) {
    letter_t *letter = data;
    size_t left = letter->message.len - letter->sent;
    size_t len = one * room < left ? one * room : left;
    memcpy(out, letter->message.ptr + letter->sent, len);
    letter->sent += len;
    return len;
}

/* What the server says besides its codes is of no use; without this it would go to standard output. */
static size_t on_said(char *bytes, size_t one, size_t len, void *data) {
    (void)bytes;
    (void)data;
    return one * len;
}

/* Called each second at least, also while curl waits for the end of a connection. */
static int on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    const letter_t *letter = data;
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&letter->cancelled) || clock_mono_ns() >= letter->until_ns;
}

/* Puts a socket in the place of another. */
static bool swap(letter_t *letter, curl_socket_t from, curl_socket_t to) {
    for (int i = 0; i < LETTER_SOCKETS; i++) {
        if (letter->sockets[i] != from) continue;
        letter->sockets[i] = to;
        return true;
    }
    return false;
}

static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0 || swap(data, CURL_SOCKET_BAD, fd)) return fd;
    close(fd);
    return CURL_SOCKET_BAD;
}

static int close_socket(void *data, curl_socket_t fd) {
    swap(data, fd, CURL_SOCKET_BAD);
    return close(fd);
}

/* Nothing more is waited for. */
static void stop_reading(const letter_t *letter) {
    for (int i = 0; i < LETTER_SOCKETS; i++)
        if (letter->sockets[i] != CURL_SOCKET_BAD) shutdown(letter->sockets[i], SHUT_RD);
}

/* The goodbye is said and its answer not waited for: here when the letter was refused, in `part` when it was taken. */
static int on_debug(CURL *easy, curl_infotype type, char *bytes, size_t len, void *data) {
    (void)easy;
    if (type == CURLINFO_HEADER_OUT && span_starts((span_t){bytes, len}, SPAN("QUIT")))
        stop_reading(data);
    return 0;
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (code == CURLE_OK) code = late->easy_setopt(easy, option, value);                       \
    } while (0)

static CURLcode set_limits(const late_t *late, CURL *easy, letter_t *letter) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_ERRORBUFFER, letter->detail);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* its end does not wait for the thread that resolves the name */
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, letter);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, letter);
    SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, letter);
    SET(CURLOPT_WRITEFUNCTION, on_said);
    SET(CURLOPT_VERBOSE, 1L);
    SET(CURLOPT_DEBUGFUNCTION, on_debug);
    SET(CURLOPT_DEBUGDATA, letter);
    return code;
}

/* SMTP knows no redirects, and a proxy from the environment is not asked: a letter goes to the setting's server or
   nowhere. */
static CURLcode set_server(const late_t *late, CURL *easy, const mail_server_t *server) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, server->url);
    SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_USE_SSL, (long)(server->starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (server->ca[0]) SET(CURLOPT_CAINFO, server->ca);
    return code;
}

static CURLcode set_letter(
    const late_t *late, CURL *easy, letter_t *letter, struct curl_slist *recipients) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_MAIL_FROM, letter->mail.from);
    SET(CURLOPT_MAIL_RCPT, recipients);
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_READFUNCTION, on_read);
    SET(CURLOPT_READDATA, letter);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)letter->message.len);
    return code;
}

/* A 5yz is final, whatever happens afterwards, but for those that ask for a password: these are about the setting, not
   about the letter. */
static int err_of(const letter_t *letter, CURLcode code, long status) {
    if (code == CURLE_LOGIN_DENIED || status == 530 || status == 535) return ERR_DENIED;
    if (status >= 500 && status < 600) return ERR_UNPROCESSABLE;
    if (code != CURLE_ABORTED_BY_CALLBACK) return ERR_UNAVAILABLE;
    return atomic_load(&letter->cancelled) ? ERR_CANCELLED : ERR_TIMEOUT;
}

static void conclude(const late_t *late, CURL *easy, letter_t *letter, CURLcode code) {
    long status = 0;
    if (code == CURLE_OK) return;
    late->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    bool aborted = code == CURLE_ABORTED_BY_CALLBACK;
    if (status >= 400 && (aborted || !letter->detail[0]))
        snprintf(letter->detail, sizeof letter->detail, "the mail server answered %ld", status);
    else if (aborted)
        letter->detail[0] = '\0';
    int err = err_of(letter, code, status);
    fail(letter, err, letter->detail[0] ? letter->detail : err_text(err));
}

/* Curl says goodbye on a handle of its own, which knows none of our callbacks. */
static void part(const late_t *late, CURL *easy, const letter_t *letter) {
    stop_reading(letter);
    late->easy_cleanup(easy);
}

static void transfer(const late_t *late, letter_t *letter, struct curl_slist *recipients) {
    const mail_server_t *server = &letter->mailer->server;
    CURL *easy = late->easy_init();
    if (!easy) {
        fail(letter, ERR_NO_MEMORY, NULL);
        return;
    }
    bool set = set_limits(late, easy, letter) == CURLE_OK &&
               set_server(late, easy, server) == CURLE_OK &&
               set_letter(late, easy, letter, recipients) == CURLE_OK;
    if (set)
        conclude(late, easy, letter, late->easy_perform(easy));
    else
        fail(letter, ERR_NO_MEMORY, NULL);
    part(late, easy, letter);
}

static struct curl_slist *list_recipients(const late_t *late, const mail_t *mail) {
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < mail->nto; i++) {
        struct curl_slist *longer = late->slist_append(list, mail->to[i]);
        if (!longer) {
            late->slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

/* On a thread. */
static void run(work_t *work, void *thread_data) {
    letter_t *letter = LIST_OWNER(work, letter_t, work);
    char why[200];
    const late_t *late = NULL;
    (void)thread_data;
    if (late_open(&late, why, sizeof why) != 0) {
        fail(letter, ERR_UNAVAILABLE, why);
        return;
    }
    if (on_progress(letter, 0, 0, 0, 0)) {
        fail(letter, atomic_load(&letter->cancelled) ? ERR_CANCELLED : ERR_TIMEOUT, NULL);
        return;
    }
    struct curl_slist *recipients = list_recipients(late, &letter->mail);
    if (recipients)
        transfer(late, letter, recipients);
    else
        fail(letter, ERR_NO_MEMORY, NULL);
    late->slist_free_all(recipients);
}

static void on_done(work_t *work) {
    letter_t *letter = LIST_OWNER(work, letter_t, work);
    list_remove(&letter->node);
    buf_destroy(&letter->message);
    if (work->skipped) fail(letter, ERR_CANCELLED, NULL);
    if (letter->err == ERR_CANCELLED && letter->mailer->closing) fail(letter, ERR_CLOSED, NULL);
    letter->done(letter);
}

static int submit(mailer_t *mailer, letter_t *letter) {
    threads_options_t options = {
        .loop = mailer->loop, .count = THREADS, .bound = BOUND, .name = "mail"};
    if (!mailer->threads) mailer->threads = threads_new(&options);
    return mailer->threads ? threads_submit(mailer->threads, &letter->work) : ERR_NO_MEMORY;
}

int mailer_send(mailer_t *mailer, letter_t *letter) {
    if (mailer->closing) return ERR_CLOSED;
    letter->mailer = mailer;
    for (int i = 0; i < LETTER_SOCKETS; i++)
        letter->sockets[i] = CURL_SOCKET_BAD;
    letter->until_ns = clock_mono_ns() + letter->timeout_ms * 1000000;
    letter->work = (work_t){.run = run, .done = on_done};
    list_init(&letter->node);
    buf_create(&letter->message);
    int err = mail_write(&letter->mail, &letter->message, letter->detail, sizeof letter->detail);
    if (!err) err = submit(mailer, letter);
    if (err)
        buf_destroy(&letter->message);
    else
        list_push(&mailer->letters, &letter->node);
    return err;
}

void mailer_cancel(letter_t *letter) {
    atomic_store(&letter->cancelled, true);
    threads_drop(letter->mailer->threads, &letter->work);
}

static void close_mailer(void *data) {
    mailer_t *mailer = data;
    mailer->closing = true;
    for (list_t *node = mailer->letters.next; node != &mailer->letters; node = node->next)
        atomic_store(&LIST_OWNER(node, letter_t, node)->cancelled, true);
    threads_delete(mailer->threads);
    free(mailer);
}

mailer_t *mailer_new(loop_t *loop, const mail_server_t *server) {
    mailer_t *mailer = calloc(1, sizeof *mailer);
    if (!mailer) return NULL;
    mailer->loop = loop;
    mailer->server = *server;
    list_init(&mailer->letters);
    if (loop_exit_add(loop, close_mailer, mailer) == 0) return mailer;
    free(mailer);
    return NULL;
}

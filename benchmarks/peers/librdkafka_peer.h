/* What the C peers on librdkafka share: its ABI as far as both use it, the command line, the clocks.
 *
 * in:   PEER, the program's name; the command line that all peers have (README.md)
 * out:  functions of one file, since each program is one
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_message_s {
    int err;
    rd_kafka_topic_t *rkt;
    int32_t partition;
    void *payload;
    size_t len;
    void *key;
    size_t key_len;
    int64_t offset;
    void *_private;
} rd_kafka_message_t;
rd_kafka_conf_t *rd_kafka_conf_new(void);
int rd_kafka_conf_set(rd_kafka_conf_t *, const char *, const char *, char *, size_t);
rd_kafka_t *rd_kafka_new(int, rd_kafka_conf_t *, char *, size_t);
rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *, const char *, void *);
const char *rd_kafka_version_str(void);

static const char *bootstrap_server, *topic_name, *payload_file, *mode = "produce", *codec = "none";
static const char *linger_ms = "5", *settings = "tuned";
static long record_count;

static void stop(const char *what) {
    fprintf(stderr, PEER ": %s\n", what);
    exit(1);
}

static void read_command_line(int argc, char **argv) {
    for (int at = 1; at + 1 < argc; at += 2) {
        const char *name = argv[at], *value = argv[at + 1];
        if (strcmp(name, "--bootstrap-server") == 0) bootstrap_server = value;
        else if (strcmp(name, "--topic") == 0) topic_name = value;
        else if (strcmp(name, "--payload-file") == 0) payload_file = value;
        else if (strcmp(name, "--records") == 0) record_count = atol(value);
        else if (strcmp(name, "--mode") == 0) mode = value;
        else if (strcmp(name, "--codec") == 0) codec = value;
        else if (strcmp(name, "--linger-ms") == 0) linger_ms = value;
        else if (strcmp(name, "--settings") == 0) settings = value;
        else if (strcmp(name, "--rate") == 0 && strcmp(value, "0") == 0) continue;
        else stop(name);
    }
    if (bootstrap_server == NULL || topic_name == NULL || payload_file == NULL || record_count <= 0)
        stop("--bootstrap-server, --topic, --payload-file and --records are needed");
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != 0)
        stop(text);
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long resident_kb(const char *row) {
    char line[256];
    long size_kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, row, strlen(row)) == 0)
            size_kb = atol(line + strlen(row) + 1);
    if (file != NULL)
        fclose(file);
    return size_kb;
}

static void reset_resident_max(void) { /* proc(5), clear_refs */
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file != NULL) {
        fputs("5", file);
        fclose(file);
    }
}

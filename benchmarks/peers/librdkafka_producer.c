/* librdkafka from C, as a peer: no Python between the values and the library.
 *
 * in:   the command line that all peers have (README.md)
 * out:  one line of JSON
 * The library may be the one inside the confluent-kafka wheel, which has no header: the functions of
 * its stable ABI that are used here are declared here.
 *
 *     gcc -O2 -o librdkafka_producer librdkafka_producer.c .../librdkafka.so.1 -Wl,-rpath,...
 */
#define PEER "librdkafka_producer"
#include "librdkafka_peer.h"

void rd_kafka_conf_set_dr_msg_cb(rd_kafka_conf_t *, void (*)(rd_kafka_t *, const rd_kafka_message_t *, void *));
int rd_kafka_produce(rd_kafka_topic_t *, int32_t, int, void *, size_t, const void *, size_t, void *);
int rd_kafka_produce_batch(rd_kafka_topic_t *, int32_t, int, rd_kafka_message_t *, int);
int rd_kafka_poll(rd_kafka_t *, int);
int rd_kafka_flush(rd_kafka_t *, int);
int rd_kafka_outq_len(rd_kafka_t *);
enum { RD_KAFKA_PRODUCER = 0, RD_KAFKA_PARTITION_UA = -1, RD_KAFKA_MSG_F_COPY = 2 };
enum { CHUNK_RECORDS = 1000, FLUSH_TIMEOUT_MS = 180000 };

static char **values;
static size_t *value_sizes, value_count;
static long delivered, failed;

static void read_values(void) {
    FILE *file = fopen(payload_file, "rb");
    size_t capacity = 0, room = 0;
    char *line = NULL;
    ssize_t size;
    if (file == NULL)
        stop("the payload file cannot be read");
    while ((size = getline(&line, &room, file)) > 0) {
        if (value_count == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            values = realloc(values, capacity * sizeof *values);
            value_sizes = realloc(value_sizes, capacity * sizeof *value_sizes);
        }
        values[value_count] = memcpy(malloc((size_t)size), line, (size_t)size);
        value_sizes[value_count++] = (size_t)size - 1;
    }
    free(line);
    fclose(file);
    if (value_count == 0)
        stop("the payload file is empty");
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client, (void)opaque;
    *(message->err ? &failed : &delivered) += 1;
}

static rd_kafka_t *new_producer(void) {
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap_server);
    set(conf, "acks", "all");
    set(conf, "enable.idempotence", "true");
    set(conf, "compression.type", codec);
    if (strcmp(settings, "tuned") == 0) {
        set(conf, "linger.ms", linger_ms);
        set(conf, "batch.size", "1000000");
        set(conf, "batch.num.messages", "100000");
        set(conf, "queue.buffering.max.messages", "2000000");
        set(conf, "queue.buffering.max.kbytes", "1048576");
    }
    if (strcmp(mode, "produce") != 0 && strcmp(mode, "produce_batch") != 0)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (client == NULL)
        stop(text);
    return client;
}

static void produce(rd_kafka_t *client, rd_kafka_topic_t *topic, size_t index) {
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, values[index],
                            value_sizes[index], NULL, 0, NULL) != 0)
        rd_kafka_poll(client, 10); /* the queue is full */
}

static void produce_each(rd_kafka_t *client, rd_kafka_topic_t *topic) {
    for (long number = 0; number < record_count; number++) {
        produce(client, topic, (size_t)number % value_count);
        if (number % 100 == 0)
            rd_kafka_poll(client, 0);
    }
}

static void produce_batches(rd_kafka_t *client, rd_kafka_topic_t *topic) {
    static rd_kafka_message_t messages[CHUNK_RECORDS];
    for (long sent = 0; sent < record_count;) {
        int count = record_count - sent < CHUNK_RECORDS ? (int)(record_count - sent) : CHUNK_RECORDS;
        memset(messages, 0, sizeof messages);
        for (int number = 0; number < count; number++) {
            size_t index = (size_t)(sent + number) % value_count;
            messages[number].payload = values[index];
            messages[number].len = value_sizes[index];
        }
        int taken = rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, messages, count);
        for (int number = 0; taken < count && number < count; number++)
            if (messages[number].err) /* the queue is full: these were not taken */
                produce(client, topic, (size_t)(sent + number) % value_count);
        sent += count;
        rd_kafka_poll(client, 0);
    }
}

static int by_size(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return difference < 0 ? -1 : difference > 0;
}

static double *one_at_a_time(rd_kafka_t *client, rd_kafka_topic_t *topic) {
    double *latencies_us = calloc((size_t)record_count, sizeof *latencies_us);
    for (long number = 0; number < record_count; number++) {
        double started = seconds_now();
        produce(client, topic, (size_t)number % value_count);
        while (delivered + failed == number)
            rd_kafka_poll(client, 1000);
        latencies_us[number] = (seconds_now() - started) * 1e6;
    }
    qsort(latencies_us, (size_t)record_count, sizeof *latencies_us, by_size);
    return latencies_us;
}

int main(int argc, char **argv) {
    read_command_line(argc, argv);
    read_values();
    rd_kafka_t *client = new_producer();
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, topic_name, NULL);
    if (topic == NULL)
        stop("the topic was refused");
    produce(client, topic, value_count - 1); /* connections, metadata, producer id */
    if (rd_kafka_flush(client, 30000) != 0)
        stop("the warm-up record was not acknowledged");
    delivered = 0;
    reset_resident_max();
    long idle_kb = resident_kb("VmRSS");
    double wall = seconds_now(), cpu = cpu_seconds(), *latencies_us = NULL;
    if (strcmp(mode, "latency") == 0)
        latencies_us = one_at_a_time(client, topic);
    else if (strcmp(mode, "produce_batch") == 0)
        produce_batches(client, topic);
    else
        produce_each(client, topic);
    rd_kafka_flush(client, FLUSH_TIMEOUT_MS);
    cpu = cpu_seconds() - cpu;
    wall = seconds_now() - wall;
    if (rd_kafka_outq_len(client) != 0 || failed != 0)
        stop("records were not acknowledged");
    if (strcmp(mode, "produce_callback") == 0 && delivered != record_count)
        stop("delivery reports are missing");
    printf("{\"records\": %ld, \"warm_up\": 1, \"cpu_seconds\": %f, \"seconds\": %f, "
           "\"resident_over_idle_kb\": %ld, \"version\": \"%s\"",
           record_count, cpu, wall, resident_kb("VmHWM") - idle_kb, rd_kafka_version_str());
    if (latencies_us != NULL)
        printf(", \"p50_us\": %f, \"p99_us\": %f, \"p999_us\": %f", latencies_us[record_count / 2],
               latencies_us[record_count * 99 / 100], latencies_us[record_count * 999 / 1000]);
    printf("}\n");
    fflush(stdout);
    _exit(0); /* nothing is left to be flushed */
}

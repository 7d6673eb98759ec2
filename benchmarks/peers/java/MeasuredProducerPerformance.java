package org.apache.kafka.tools;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.producer.KafkaProducer;

/**
 * Kafka's own ProducerPerformance as a peer: the command line that all peers have (../README.md), one
 * line of JSON. It runs twice in one JVM, and only the second run counts, so that the code is
 * compiled. Its clocks start when it makes its producer: the payload file is read by then. It lives in
 * the tool's package because that step is private to it.
 */
public final class MeasuredProducerPerformance extends ProducerPerformance {
    private static final long WARM_UP_RECORDS_MAX = 1_000_000;
    private static final Pattern PERCENTILES =
        Pattern.compile("([0-9]+) ms 50th, [0-9]+ ms 95th, ([0-9]+) ms 99th, ([0-9]+) ms 99.9th");

    private double cpuSeconds;
    private long wallNanos;
    private long idleKb;

    @Override
    KafkaProducer<byte[], byte[]> createKafkaProducer(Properties properties) {
        try {
            Files.writeString(Path.of("/proc/self/clear_refs"), "5"); // VmHWM starts anew: proc(5)
            idleKb = residentKb("VmRSS");
        } catch (IOException problem) {
            throw new IllegalStateException(problem);
        }
        wallNanos = System.nanoTime();
        cpuSeconds = processCpuSeconds();
        return super.createKafkaProducer(properties);
    }

    private static double processCpuSeconds() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime() / 1e9;
    }

    /** Return a row of the process status, VmRSS (now) or VmHWM (the most there was). */
    private static long residentKb(String row) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith(row + ":")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        return 0;
    }

    private static String[] arguments(Map<String, String> options, long records) {
        List<String> arguments = new ArrayList<>(List.of(
            "--topic", options.get("--topic"), "--num-records", Long.toString(records),
            "--throughput", "-1", "--payload-file", options.get("--payload-file"), "--producer-props",
            "bootstrap.servers=" + options.get("--bootstrap-server"), "acks=all", "enable.idempotence=true",
            "compression.type=" + options.getOrDefault("--codec", "none")));
        if (options.getOrDefault("--settings", "tuned").equals("tuned")) {
            arguments.addAll(List.of("linger.ms=" + options.getOrDefault("--linger-ms", "5"),
                "batch.size=1000000", "buffer.memory=268435456", "max.request.size=2000000"));
        }
        return arguments.toArray(String[]::new);
    }

    public static void main(String[] words) throws IOException {
        Map<String, String> options = new HashMap<>();
        for (int at = 0; at + 1 < words.length; at += 2) {
            options.put(words[at], words[at + 1]);
        }
        long records = Long.parseLong(options.get("--records"));
        long warmUp = Math.min(records, WARM_UP_RECORDS_MAX);
        PrintStream out = System.out;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        System.setOut(new PrintStream(said, true));
        new MeasuredProducerPerformance().start(arguments(options, warmUp));
        said.reset();
        MeasuredProducerPerformance measured = new MeasuredProducerPerformance();
        measured.start(arguments(options, records));
        double cpuSeconds = processCpuSeconds() - measured.cpuSeconds;
        double seconds = (System.nanoTime() - measured.wallNanos) / 1e9;
        Matcher found = PERCENTILES.matcher(said.toString());
        StringBuilder row = new StringBuilder();
        row.append(String.format("{\"records\": %d, \"warm_up\": %d, \"cpu_seconds\": %f, \"seconds\": %f, ",
            records, warmUp, cpuSeconds, seconds));
        row.append(String.format("\"resident_over_idle_kb\": %d", residentKb("VmHWM") - measured.idleKb));
        while (found.find()) { // the last line has the whole run
            if (found.hitEnd() || said.toString().indexOf("99.9th", found.end()) < 0) {
                row.append(String.format(", \"queued_p50_ms\": %s, \"queued_p99_ms\": %s, \"queued_p999_ms\": %s",
                    found.group(1), found.group(2), found.group(3)));
            }
        }
        out.println(row.append("}"));
        out.flush();
    }
}

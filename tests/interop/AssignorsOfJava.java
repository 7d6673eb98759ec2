import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Assigns as the Java client does. Each line of the input is one group, of three words between bars:
 *
 * <pre>assignor | topic:racks,racks,... of each partition ... | member:static name:rack:topic,topic ...</pre>
 *
 * The racks of a partition's replicas have one letter each. Each line of the answer has the partitions of each member,
 * as member:topic-partition,... with a space between members.
 */
public final class AssignorsOfJava {
    private static final Map<String, ConsumerPartitionAssignor> ASSIGNORS = Map.of(
        "range", new RangeAssignor(),
        "roundrobin", new RoundRobinAssignor(),
        "cooperative-sticky", new CooperativeStickyAssignor());

    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder answers = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\\|", -1);
            var assigned = ASSIGNORS.get(words[0]).assign(cluster(words[1]), group(words[2])).groupAssignment();
            new TreeMap<>(assigned).forEach((member, assignment) -> {
                List<String> places = new ArrayList<>();
                for (TopicPartition place : assignment.partitions()) {
                    places.add(place.topic() + "-" + place.partition());
                }
                answers.append(member).append(':').append(String.join(",", places)).append(' ');
            });
            answers.append('\n');
        }
        System.out.print(answers);
    }

    private static Cluster cluster(String topics) {
        Map<Character, Node> nodes = new HashMap<>();
        List<PartitionInfo> partitions = new ArrayList<>();
        for (String topic : words(topics)) {
            String[] nameAndRacks = topic.split(":", -1);
            String[] racksOfPartitions = nameAndRacks[1].split(",", -1);
            for (int number = 0; number < racksOfPartitions.length; number++) {
                List<Node> replicas = new ArrayList<>();
                for (char rack : racksOfPartitions[number].toCharArray()) {
                    replicas.add(nodes.computeIfAbsent(rack, name -> new Node(name, "h", 1, String.valueOf(name))));
                }
                Node[] all = replicas.toArray(new Node[0]);
                partitions.add(new PartitionInfo(nameAndRacks[0], number, all.length > 0 ? all[0] : null, all, all));
            }
        }
        return new Cluster("c", nodes.values(), partitions, Set.of(), Set.of());
    }

    private static GroupSubscription group(String members) {
        Map<String, Subscription> subscriptions = new HashMap<>();
        for (String member : words(members)) {
            String[] parts = member.split(":", -1);
            Optional<String> rack = Optional.of(parts[2]).filter(name -> !name.isEmpty());
            var subscription = new Subscription(List.of(parts[3].split(",")), null, List.of(), -1, rack);
            subscription.setGroupInstanceId(Optional.of(parts[1]).filter(name -> !name.isEmpty()));
            subscriptions.put(parts[0], subscription);
        }
        return new GroupSubscription(subscriptions);
    }

    private static String[] words(String text) {
        return text.isEmpty() ? new String[0] : text.split(" ");
    }
}

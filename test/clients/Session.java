// What test/clients/real-clients.test.mjs has Java's HttpClient do: Session.java WHAT URL AGENT. Prints a list of what came.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;

class Session {
    static String url, agent;

    static CompletableFuture<String> attempt(HttpClient session, String method, String path, String body) {
        var request = HttpRequest.newBuilder(URI.create(url + path)).timeout(Duration.ofSeconds(30));
        request.method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
        if (!agent.isEmpty()) request.header("User-Agent", agent);
        return session.sendAsync(request.build(), BodyHandlers.ofString()).handle((answer, error) -> error == null ? answer.body() : error.toString());
    }

    static void say(List<String> results) {
        System.out.println(results.stream().map(text -> '"' + text.replaceAll("[\"\\\\\n]", "'") + '"').collect(Collectors.joining(", ", "[", "]")));
    }

    public static void main(String[] args) throws Exception {
        url = args[1];
        agent = args[2];
        var session = HttpClient.newHttpClient();
        var results = new ArrayList<String>();
        switch (args[0]) {
            case "post" -> {
                for (int n = 0; n < 11; n++) {
                    results.add(attempt(session, "POST", "/post", Integer.toString(n)).join());
                    Thread.sleep(200 + 10 * n);
                }
                say(results);
            }
            case "parallel" -> {
                var all = new ArrayList<CompletableFuture<String>>();
                for (int n = 0; n < 6; n++) all.add(attempt(session, "GET", "/n/" + n, null));
                for (var each : all) results.add(each.join());
                say(results);
            }
            case "pools" -> {
                var sessions = new ArrayList<HttpClient>();
                for (int n = 0; n < 5; n++) {
                    sessions.add(HttpClient.newHttpClient());
                    results.add(attempt(sessions.get(n), "GET", "/", null).join());
                }
                say(results);
                Thread.sleep(60000); // it is ended before
            }
        }
        System.exit(0);
    }
}

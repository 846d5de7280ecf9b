import com.sun.net.httpserver.HttpServer;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Serves a known trace on virtual threads or a fixed pool, and notes when each request got how far.
 *
 * <p>Standard input is the injector's pipe; standard output gets a JSON line when it is ready and
 * one when the last request has ended. After that it waits for the end of its input, while its CPU
 * time and memory are read from outside, and writes what it noted into a file. Other modes: a web
 * server, the memory of idle threads, and what single operations cost.
 */
public final class Driver {
    static final int MARKS = 5; // read, first instruction, end of cpu1, resumed after the wait, end
    static volatile long sink;

    static void spin(long n) {
        long x = n | 1;
        for (long i = 0; i < n; i++) { // xorshift: no compiler can shorten it
            x ^= x << 13;
            x ^= x >>> 7;
            x ^= x << 17;
        }
        sink = x;
    }

    /** On Linux nanoTime is CLOCK_MONOTONIC. */
    static long now() {
        return System.nanoTime();
    }

    /** Iterations of the loop per microsecond: the median of pieces of about 1 ms. */
    static double iterationsPerUs(double seconds) {
        final long n = 400_000;
        double[] rates = new double[100_000];
        int count = 0;
        long end = now() + (long) (seconds * 1e9);
        while ((now() < end || count < 9) && count < rates.length) {
            long begin = now();
            spin(n);
            rates[count++] = n * 1000.0 / (now() - begin);
        }
        Arrays.sort(rates, 0, count);
        return rates[count / 2];
    }

    /** Short and long calls, so that the loop is compiled before anything is measured. */
    static void warmSpin() {
        for (int k = 0; k < 20_000; k++) {
            spin(50);
        }
        for (int k = 0; k < 200; k++) {
            spin(100_000);
        }
    }

    static final class Work {
        final int n;
        final int[] cpu1;
        final int[] io;
        final int[] cpu2;
        final long[][] marks;
        final AtomicInteger finished = new AtomicInteger();
        final CountDownLatch done = new CountDownLatch(1);
        volatile long start;
        double perUs;

        Work(int n, int[] cpu1, int[] io, int[] cpu2) {
            this.n = n;
            this.cpu1 = cpu1;
            this.io = io;
            this.cpu2 = cpu2;
            this.marks = new long[MARKS][n];
            for (long[] mark : marks) {
                Arrays.fill(mark, -1);
            }
            if (n == 0) {
                done.countDown();
            }
        }

        static Work load(Path path) throws IOException {
            ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(path));
            file.order(ByteOrder.LITTLE_ENDIAN);
            int n = (int) file.getLong();
            file.position(8 + 8 * n);
            int[][] columns = new int[3][n];
            for (int[] column : columns) {
                for (int i = 0; i < n; i++) {
                    column[i] = file.getInt();
                }
            }
            return new Work(n, columns[0], columns[1], columns[2]);
        }

        void handle(int i) {
            try {
                long from = start;
                marks[1][i] = now() - from;
                spin((long) (cpu1[i] * perUs));
                marks[2][i] = now() - from;
                if (io[i] > 0) {
                    Thread.sleep(Duration.ofNanos(io[i] * 1000L));
                }
                marks[3][i] = now() - from;
                spin((long) (cpu2[i] * perUs));
                marks[4][i] = now() - from;
            } catch (InterruptedException stopped) {
                return;
            }
            if (finished.incrementAndGet() == n) {
                done.countDown();
            }
        }

        void save(Path path) throws IOException {
            try (FileChannel out = FileChannel.open(
                    path, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                for (long[] mark : marks) {
                    ByteBuffer buffer = ByteBuffer.allocate(8 * n).order(ByteOrder.LITTLE_ENDIAN);
                    buffer.asLongBuffer().put(mark);
                    while (buffer.hasRemaining()) {
                        out.write(buffer);
                    }
                }
            }
        }
    }

    /** A platform thread that reads the pipe and hands each request to the executor. */
    static void readPipe(Work work, FileChannel pipe, ExecutorService executor) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(65536).order(ByteOrder.LITTLE_ENDIAN);
        try {
            buffer.limit(8);
            while (buffer.hasRemaining()) {
                if (pipe.read(buffer) < 0) {
                    return;
                }
            }
            work.start = buffer.flip().getLong();
            buffer.clear();
            int read = 0;
            while (read < work.n && pipe.read(buffer) >= 0) {
                long at = now() - work.start;
                buffer.flip();
                while (buffer.remaining() >= 4) {
                    int i = buffer.getInt();
                    work.marks[0][i] = at;
                    executor.execute(() -> work.handle(i));
                    read++;
                }
                buffer.compact();
            }
        } catch (IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    static ExecutorService executor(String runtime, int threads) {
        return runtime.equals("java_vt")
                ? Executors.newVirtualThreadPerTaskExecutor()
                : Executors.newFixedThreadPool(threads);
    }

    static void run(String runtime, int threads, Path trace, Path out, double limit)
            throws Exception {
        Work work = Work.load(trace);
        ExecutorService executor = executor(runtime, threads);
        warmSpin();
        warmRequests(executor);
        work.perUs = iterationsPerUs(0.3);
        FileChannel pipe = new FileInputStream(FileDescriptor.in).getChannel();
        tell("{\"event\": \"ready\", \"per_us\": %.4f}", work.perUs);
        Thread.ofPlatform().daemon().name("reader").start(() -> readPipe(work, pipe, executor));
        work.done.await((long) (limit * 1e3), TimeUnit.MILLISECONDS);
        tell("{\"event\": \"end\"}");
        ByteBuffer rest = ByteBuffer.allocate(65536);
        while (pipe.read(rest) >= 0) {
            rest.clear();
        }
        tell("{\"event\": \"after\", \"per_us\": %.4f}", iterationsPerUs(0.1));
        work.save(out);
        Runtime.getRuntime().halt(0); // unfinished requests do not hold the process up
    }

    /** Requests of a trace of its own, a few at a time, through the very code that is measured. */
    static void warmRequests(ExecutorService executor) throws InterruptedException {
        int n = 20_000;
        int[] cpu = new int[n];
        int[] io = new int[n];
        Arrays.fill(cpu, 5);
        for (int i = 0; i < n; i += 10) {
            io[i] = 1000;
        }
        Work warm = new Work(n, cpu, io, cpu);
        warm.start = now();
        warm.perUs = 100;
        for (int i = 0; i < n; i++) {
            int request = i;
            executor.execute(() -> warm.handle(request));
            if (i % 500 == 499) {
                Thread.sleep(20);
            }
        }
        warm.done.await(20, TimeUnit.SECONDS);
    }

    static void tell(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
        System.out.flush();
    }

    /** Answers GET /work?c1=..&io=..&c2=.. (microseconds) on a free port of the loopback. */
    static void web(String runtime, int threads) throws Exception {
        warmSpin();
        double perUs = iterationsPerUs(0.3);
        var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        HttpServer server = HttpServer.create(address, 1024);
        byte[] ok = "ok".getBytes(StandardCharsets.US_ASCII);
        server.createContext("/work", exchange -> {
            long[] demand = new long[3];
            for (String part : exchange.getRequestURI().getRawQuery().split("&")) {
                long value = Long.parseLong(part.substring(3));
                demand[part.startsWith("c1") ? 0 : part.startsWith("io") ? 1 : 2] = value;
            }
            spin((long) (demand[0] * perUs));
            if (demand[1] > 0) {
                try {
                    Thread.sleep(Duration.ofNanos(demand[1] * 1000L));
                } catch (InterruptedException stopped) {
                    return;
                }
            }
            spin((long) (demand[2] * perUs));
            exchange.sendResponseHeaders(200, ok.length);
            exchange.getResponseBody().write(ok);
            exchange.close();
        });
        server.setExecutor(executor(runtime, threads));
        server.start();
        tell("{\"event\": \"ready\", \"port\": %d, \"per_us\": %.4f}",
                server.getAddress().getPort(), perUs);
        Thread.currentThread().join();
    }

    static long statusKb(String key) {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith(key + ":")) {
                    return Long.parseLong(line.split("\\s+")[1]);
                }
            }
        } catch (IOException gone) {
            return 0;
        }
        return 0;
    }

    /** What n idle threads hold: virtual ones that are parked or asleep, or platform threads. */
    static void memory(String kind, int n) throws Exception {
        CountDownLatch gate = new CountDownLatch(1);
        AtomicInteger begun = new AtomicInteger();
        Runnable idle = () -> {
            begun.incrementAndGet();
            try {
                if (kind.equals("java_vt_sleep")) {
                    Thread.sleep(Duration.ofHours(1));
                } else {
                    gate.await();
                }
            } catch (InterruptedException stopped) {
                return;
            }
        };
        for (int k = 0; k < 100; k++) {
            Thread.ofVirtual().start(() -> { }).join();
        }
        System.gc();
        Thread.sleep(200);
        long before = statusKb("VmRSS");
        long begin = now();
        Thread[] kept = new Thread[n];
        int made = 0;
        try {
            for (; made < n; made++) {
                kept[made] = kind.equals("java_platform")
                        ? Thread.ofPlatform().daemon().start(idle)
                        : Thread.ofVirtual().start(idle);
            }
        } catch (OutOfMemoryError enough) {
            System.err.println("only " + made + " threads");
        }
        while (begun.get() < made) {
            Thread.sleep(1);
        }
        double createUs = (now() - begin) / 1e3 / made;
        Thread.sleep(200);
        long after = statusKb("VmRSS");
        long threads = statusKb("Threads");
        System.gc();
        Thread.sleep(200);
        long collected = statusKb("VmRSS");
        tell("{\"test\": \"mem_%s\", \"n\": %d, \"made\": %d, \"rss0_kb\": %d, \"rss1_kb\": %d, "
                + "\"rss_aftergc_kb\": %d, \"bytes_per\": %d, \"bytes_per_aftergc\": %d, "
                + "\"create_us_each\": %.3f, \"threads\": %d}",
                kind, n, made, before, after, collected, (after - before) * 1024 / made,
                (collected - before) * 1024 / made, createUs, threads);
        Runtime.getRuntime().halt(kept[0] == null ? 1 : 0);
    }

    static int parallelism = 1;

    /** One measured cost: percentiles of values in microseconds. */
    static void tellCost(String test, double[] values) {
        Arrays.sort(values);
        int last = values.length - 1;
        tell("{\"test\": \"java_par%d_%s\", \"unit\": \"us\", \"p5\": %.4f, \"p50\": %.4f, "
                + "\"p95\": %.4f, \"n\": %d}",
                parallelism, test, values[(int) (0.05 * last)], values[(int) (0.5 * last)],
                values[(int) (0.95 * last)], values.length);
    }

    interface Batch {
        void run(int ops) throws Exception;
    }

    /** The cost of one operation: batches of many, as many again before to be compiled. */
    static void each(String test, int batches, int ops, Batch batch) throws Exception {
        double[] values = new double[batches];
        for (int b = -batches; b < batches; b++) {
            long begin = now();
            batch.run(ops);
            if (b >= 0) {
                values[b] = (now() - begin) / 1e3 / ops;
            }
        }
        tellCost(test, values);
    }

    static double[] overshoots(long waitUs, int count) throws InterruptedException {
        double[] values = new double[count];
        for (int k = 0; k < count; k++) {
            long begin = now();
            Thread.sleep(Duration.ofNanos(waitUs * 1000));
            values[k] = (now() - begin) / 1e3 - waitUs;
        }
        return values;
    }

    /** Runs what may throw on a virtual thread and waits for its end. */
    static void onVirtual(Batch batch, int ops) throws InterruptedException {
        Thread.ofVirtual().start(() -> {
            try {
                batch.run(ops);
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }).join();
    }

    static void micro() throws Exception {
        warmSpin();
        creation();
        switching();
        sleepers();
        for (long wait : new long[] {500, 2_000, 13_700, 50_000}) {
            int count = (int) Math.max(10, Math.min(400, 500_000 / wait));
            double[][] found = new double[1][];
            onVirtual(n -> found[0] = overshoots(wait, n), count);
            tellCost("vthread_sleep_overshoot_" + wait + "us_idle", found[0]);
            tellCost("platform_sleep_overshoot_" + wait + "us_idle", overshoots(wait, count));
        }
        tellCost("vthread_cpu_per_idle_wake_sleep3ms", idleWakes(true));
        tellCost("platform_cpu_per_idle_wake_sleep3ms", idleWakes(false));
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** CPU of the process per sleep of 3 ms; its clock ticks in 10 ms, so many sleeps each. */
    static double[] idleWakes(boolean virtual) throws Exception {
        double[] values = new double[5];
        for (int k = 0; k < values.length; k++) {
            Duration before = cpu();
            if (virtual) {
                onVirtual(n -> overshoots(3_000, n), 100);
            } else {
                overshoots(3_000, 100);
            }
            values[k] = cpu().minus(before).toNanos() / 1e3 / 100;
        }
        return values;
    }

    static Duration cpu() {
        return ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO);
    }

    static void creation() throws Exception {
        each("vthread_create_run_bulk", 40, 2000, ops -> {
            CountDownLatch all = new CountDownLatch(ops);
            for (int i = 0; i < ops; i++) {
                Thread.ofVirtual().start(all::countDown);
            }
            all.await();
        });
        each("vthread_create_from_vthread", 40, 2000, ops -> onVirtual(n -> {
            CountDownLatch all = new CountDownLatch(n);
            for (int i = 0; i < n; i++) {
                Thread.ofVirtual().start(all::countDown);
            }
            all.await();
        }, ops));
        each("platform_thread_create_join", 40, 50, ops -> {
            for (int i = 0; i < ops; i++) {
                Thread.ofPlatform().start(() -> { }).join();
            }
        });
        ExecutorService pool = Executors.newFixedThreadPool(2);
        each("fixedpool_submit_get_roundtrip", 40, 1000, ops -> {
            for (int i = 0; i < ops; i++) {
                pool.submit(() -> { }).get();
            }
        });
        each("fixedpool_bulk_per_task", 40, 2000, ops -> {
            CountDownLatch all = new CountDownLatch(ops);
            for (int i = 0; i < ops; i++) {
                pool.execute(all::countDown);
            }
            all.await();
        });
        pool.shutdown();
    }

    /** CPU of the process per virtual thread that sleeps once. */
    static void sleepers() throws Exception {
        double[] values = new double[10];
        for (int k = 0; k < values.length; k++) {
            int ops = 20_000;
            CountDownLatch all = new CountDownLatch(ops);
            Duration before = cpu();
            for (int i = 0; i < ops; i++) {
                Thread.ofVirtual().start(() -> {
                    LockSupport.parkNanos(5_000_000);
                    all.countDown();
                });
            }
            all.await();
            values[k] = cpu().minus(before).toNanos() / 1e3 / ops;
        }
        tellCost("vthread_with_sleep_cpu_each", values);
    }

    static void switching() throws Exception {
        each("vthread_yield_switch", 40, 10_000, ops -> {
            Thread[] both = new Thread[2];
            for (int k = 0; k < 2; k++) {
                both[k] = Thread.ofVirtual().start(() -> {
                    for (int i = 0; i < ops / 2; i++) {
                        Thread.yield();
                    }
                });
            }
            both[0].join();
            both[1].join();
        });
        each("vthread_syncqueue_pingpong_one_way", 40, 2000, ops -> {
            SynchronousQueue<Integer> there = new SynchronousQueue<>();
            SynchronousQueue<Integer> back = new SynchronousQueue<>();
            Thread other = Thread.ofVirtual().start(() -> {
                try {
                    for (int i = 0; i < ops / 2; i++) {
                        back.put(there.take());
                    }
                } catch (InterruptedException stopped) {
                    return;
                }
            });
            onVirtual(n -> {
                for (int i = 0; i < n; i++) {
                    there.put(i);
                    back.take();
                }
            }, ops / 2);
            other.join();
        });
    }

    public static void main(String[] args) throws Exception {
        String runtime = "java_vt";
        int threads = 1;
        Path trace = null;
        Path out = null;
        double limit = 60;
        for (int k = 1; k + 1 < args.length; k += 2) {
            String value = args[k + 1];
            switch (args[k]) {
                case "--runtime" -> runtime = value;
                case "--threads" -> threads = Integer.parseInt(value);
                case "--trace" -> trace = Path.of(value);
                case "--out" -> out = Path.of(value);
                case "--limit" -> limit = Double.parseDouble(value);
                default -> throw new IllegalArgumentException(args[k]);
            }
        }
        parallelism = threads;
        switch (args[0]) {
            case "run" -> run(runtime, threads, trace, out, limit);
            case "web" -> web(runtime, threads);
            case "memory" -> memory(runtime, threads);
            case "micro" -> micro();
            case "calibrate" -> {
                warmSpin();
                tell("{\"per_us\": %.4f}", iterationsPerUs(0.5));
            }
            default -> throw new IllegalArgumentException(args[0]);
        }
    }
}

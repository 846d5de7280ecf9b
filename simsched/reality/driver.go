// Serves a known trace with one goroutine per request, and notes when each got how far.
//
// Standard input is the injector's pipe; standard output gets a JSON line when it is ready and one
// when the last request has ended. After that it waits for the end of its input, while its CPU time
// and memory are read from outside, and writes what it noted into a file. Other modes: a web
// server, the memory of idle goroutines, and what single operations cost.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const marks = 5 // read, first instruction, end of cpu1, resumed after the wait, end

var sink uint64

//go:noinline
func spin(n int64) {
	x := uint64(n) | 1
	for i := int64(0); i < n; i++ { // xorshift: no compiler can shorten it
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	atomic.StoreUint64(&sink, x)
}

// The clock of Go's time package, shifted so that it counts as CLOCK_MONOTONIC does.
var base = time.Now()
var offset = func() int64 {
	var ts syscall.Timespec
	const clockMonotonic = 1
	before := time.Since(base)
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano() - int64(before+time.Since(base))/2
}()

func now() int64 { return offset + int64(time.Since(base)) }

// threadCPU is the CPU time of the calling thread in ns.
func threadCPU() int64 {
	var ts syscall.Timespec
	const clockThreadCPU = 3
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPU, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func processCPU() int64 {
	var ts syscall.Timespec
	const clockProcessCPU = 2
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockProcessCPU, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// iterationsPerUs is the median over pieces of about 1 ms, some of which are disturbed.
func iterationsPerUs(seconds float64) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const n = 400_000
	var rates []float64
	end := now() + int64(seconds*1e9)
	for now() < end || len(rates) < 9 {
		begin := threadCPU()
		spin(n)
		rates = append(rates, n*1000/float64(threadCPU()-begin))
	}
	sort.Float64s(rates)
	return rates[len(rates)/2]
}

type work struct {
	n              int
	cpu1, io, cpu2 []int32
	marks          [marks][]int64
	start          int64
	perUs          float64
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func load(path string) *work {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	var n int64
	must(binary.Read(file, binary.LittleEndian, &n))
	w := &work{n: int(n), cpu1: make([]int32, n), io: make([]int32, n), cpu2: make([]int32, n)}
	must(binary.Read(file, binary.LittleEndian, make([]int64, n)))
	for _, column := range [][]int32{w.cpu1, w.io, w.cpu2} {
		must(binary.Read(file, binary.LittleEndian, column))
	}
	for k := range w.marks {
		w.marks[k] = make([]int64, n)
		for i := range w.marks[k] {
			w.marks[k][i] = -1
		}
	}
	return w
}

func (w *work) handle(i int) {
	w.marks[1][i] = now() - w.start
	spin(int64(float64(w.cpu1[i]) * w.perUs))
	w.marks[2][i] = now() - w.start
	if w.io[i] > 0 {
		time.Sleep(time.Duration(w.io[i]) * time.Microsecond)
	}
	w.marks[3][i] = now() - w.start
	spin(int64(float64(w.cpu2[i]) * w.perUs))
	w.marks[4][i] = now() - w.start
}

// serve reads the pipe in a goroutine that the netpoller wakes, and starts one per request.
func (w *work) serve(pipe *os.File, limit time.Duration) {
	done := make(chan struct{})
	var finished atomic.Int64
	if w.n == 0 {
		close(done)
	}
	go func() {
		var head [8]byte
		_, err := io.ReadFull(pipe, head[:])
		must(err)
		w.start = int64(binary.LittleEndian.Uint64(head[:]))
		buffer := make([]byte, 65536)
		filled, read := 0, 0
		for read < w.n {
			more, err := pipe.Read(buffer[filled:])
			if err != nil {
				return
			}
			at := now() - w.start
			filled += more
			whole := filled &^ 3
			for k := 0; k < whole; k += 4 {
				i := int(binary.LittleEndian.Uint32(buffer[k:]))
				w.marks[0][i] = at
				go func() {
					w.handle(i)
					if finished.Add(1) == int64(w.n) {
						close(done)
					}
				}()
				read++
			}
			filled = copy(buffer, buffer[whole:filled])
		}
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

func (w *work) save(path string) {
	file, err := os.Create(path)
	must(err)
	for _, mark := range w.marks {
		must(binary.Write(file, binary.LittleEndian, mark))
	}
	must(file.Close())
}

func run(trace, out string, limit float64) {
	w := load(trace)
	// Non-blocking, so that a reading goroutine waits in the netpoller and not in a system call.
	must(syscall.SetNonblock(0, true))
	pipe := os.NewFile(0, "pipe")
	var warm sync.WaitGroup
	for i := 0; i < 2000; i++ {
		warm.Add(1)
		go func() { defer warm.Done(); spin(1000); time.Sleep(time.Millisecond) }()
	}
	warm.Wait()
	runtime.GC()
	w.perUs = iterationsPerUs(0.3)
	fmt.Printf("{\"event\": \"ready\", \"per_us\": %.4f}\n", w.perUs)
	w.serve(pipe, time.Duration(limit*1e9))
	fmt.Println("{\"event\": \"end\"}")
	io.Copy(io.Discard, pipe)
	fmt.Printf("{\"event\": \"after\", \"per_us\": %.4f}\n", iterationsPerUs(0.1))
	w.save(out)
}

// web answers GET /work?c1=..&io=..&c2=.. (microseconds) on a listening socket it was handed.
func web(fd int) {
	perUs := iterationsPerUs(0.3)
	listener, err := net.FileListener(os.NewFile(uintptr(fd), "listener"))
	must(err)
	number := func(r *http.Request, key string) int64 {
		value, _ := strconv.ParseInt(r.URL.Query().Get(key), 10, 64)
		return value
	}
	http.HandleFunc("/work", func(answer http.ResponseWriter, r *http.Request) {
		spin(int64(float64(number(r, "c1")) * perUs))
		if wait := number(r, "io"); wait > 0 {
			time.Sleep(time.Duration(wait) * time.Microsecond)
		}
		spin(int64(float64(number(r, "c2")) * perUs))
		io.WriteString(answer, "ok")
	})
	fmt.Printf("{\"event\": \"ready\", \"per_us\": %.4f}\n", perUs)
	must(http.Serve(listener, nil))
}

func statusKb(key string) int {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, key+":") {
			value, _ := strconv.Atoi(strings.Fields(line)[1])
			return value
		}
	}
	return 0
}

// memory tells what n idle goroutines hold, waiting for a channel or asleep.
func memory(kind string, n int) {
	runtime.GC()
	gate := make(chan struct{})
	before, begin := statusKb("VmRSS"), now()
	for i := 0; i < n; i++ {
		if kind == "go_sleep" {
			go time.Sleep(time.Hour)
		} else {
			go func() { <-gate }()
		}
	}
	created := now() - begin
	time.Sleep(200 * time.Millisecond)
	after := statusKb("VmRSS")
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Printf("{\"test\": \"mem_%s\", \"n\": %d, \"rss0_kb\": %d, \"rss1_kb\": %d, \"bytes_per\": %d, "+
		"\"create_us_each\": %.3f, \"threads\": %d, \"stack_inuse_per\": %d}\n",
		kind, n, before, after, (after-before)*1024/n, float64(created)/1000/float64(n),
		statusKb("Threads"), int(stats.StackInuse)/n)
}

// tell prints one measured cost: percentiles of values in microseconds.
func tell(test string, values []float64) { tellOf(test, "wall", values) }

// tellOf does so for a cost by another clock: "cpu" is CPU time of the process.
func tellOf(test, clock string, values []float64) {
	sort.Float64s(values)
	at := func(q float64) float64 { return values[int(q*float64(len(values)-1))] }
	fmt.Printf("{\"test\": \"go_p%d_%s\", \"unit\": \"us\", \"clock\": \"%s\", \"p5\": %.4f, \"p50\": %.4f, \"p95\": %.4f, \"n\": %d}\n",
		runtime.GOMAXPROCS(0), test, clock, at(0.05), at(0.5), at(0.95), len(values))
}

// each tells the CPU time of one operation: batches of many, the first ones to warm up.
func each(test string, batches, ops int, batch func(ops int)) {
	values := make([]float64, 0, batches)
	for b := -batches / 10; b < batches; b++ {
		begin := processCPU()
		batch(ops)
		if b >= 0 {
			values = append(values, float64(processCPU()-begin)/1000/float64(ops))
		}
	}
	tellOf(test, "cpu", values)
}

func overshoots(wait time.Duration, count int) []float64 {
	values := make([]float64, count)
	for k := range values {
		begin := now()
		time.Sleep(wait)
		values[k] = float64(now()-begin-int64(wait)) / 1000
	}
	return values
}

func hogs(count int, stop *atomic.Bool) {
	for h := 0; h < count; h++ {
		go func() {
			for !stop.Load() {
				spin(20_000)
			}
		}()
	}
}

// runLengths are the stretches for which one of two computing goroutines runs undisturbed.
func runLengths(length time.Duration) []float64 {
	var last atomic.Int64 // who ran last
	var values []float64
	var lock sync.Mutex
	var both sync.WaitGroup
	end := now() + int64(length)
	for who := int64(1); who <= 2; who++ {
		both.Add(1)
		go func() {
			defer both.Done()
			begin, latest := now(), now()
			for latest < end {
				spin(2_000)
				if last.Swap(who) != who { // the other ran since `latest`
					lock.Lock()
					values = append(values, float64(latest-begin)/1000)
					lock.Unlock()
					begin = now()
				}
				latest = now()
			}
		}()
	}
	both.Wait()
	return values
}

// micro measures what single operations cost.
func micro() {
	creation()
	switching()
	sleepers()
	for _, wait := range []time.Duration{500 * time.Microsecond, 2 * time.Millisecond, 13700 * time.Microsecond, 50 * time.Millisecond} {
		count := max(10, min(400, int(500*time.Millisecond/wait)))
		tell("sleep_overshoot_"+wait.String()+"_idle", overshoots(wait, count))
	}
	wakes := make([]float64, 20)
	for k := range wakes {
		begin := processCPU()
		overshoots(3*time.Millisecond, 10)
		wakes[k] = float64(processCPU()-begin) / 1000 / 10
	}
	tell("cpu_per_idle_wake_sleep3ms", wakes)
	for _, count := range []int{1, 4} {
		var stop atomic.Bool
		hogs(count, &stop)
		tell(fmt.Sprintf("sleep2ms_overshoot_with_%d_cpu_goroutines", count), overshoots(2*time.Millisecond, 40))
		stop.Store(true)
	}
	if runtime.GOMAXPROCS(0) == 1 {
		tell("preempt_run_length_2_cpu_goroutines", runLengths(1500*time.Millisecond))
	}
}

func creation() {
	var group sync.WaitGroup
	each("goroutine_create_run_bulk", 50, 2000, func(ops int) {
		group.Add(ops)
		for i := 0; i < ops; i++ {
			go group.Done()
		}
		group.Wait()
	})
	ran := make(chan struct{}, 1)
	each("goroutine_create_run_each", 50, 2000, func(ops int) {
		for i := 0; i < ops; i++ {
			go func() { ran <- struct{}{} }()
			<-ran
		}
	})
}

// sleepers tells the CPU of the process per goroutine that sleeps once.
func sleepers() {
	var group sync.WaitGroup
	values := make([]float64, 20)
	for k := range values {
		const ops = 2000
		begin := processCPU()
		group.Add(ops)
		for i := 0; i < ops; i++ {
			go func() { time.Sleep(5 * time.Millisecond); group.Done() }()
		}
		group.Wait()
		values[k] = float64(processCPU()-begin) / 1000 / ops
	}
	tell("goroutine_with_sleep_cpu_each", values)
}

func switching() {
	each("gosched_switch", 50, 20_000, func(ops int) {
		var both sync.WaitGroup
		for k := 0; k < 2; k++ {
			both.Add(1)
			go func() {
				defer both.Done()
				for i := 0; i < ops/2; i++ {
					runtime.Gosched()
				}
			}()
		}
		both.Wait()
	})
	ping, pong := make(chan int), make(chan int)
	go func() {
		for range ping {
			pong <- 0
		}
	}()
	each("chan_pingpong_one_way", 50, 5000, func(ops int) {
		for i := 0; i < ops/2; i++ {
			ping <- 0
			<-pong
		}
	})
	close(ping)
}

func main() {
	flags := flag.NewFlagSet("driver", flag.ExitOnError)
	kind := flags.String("runtime", "go", "what to measure in mode memory")
	threads := flags.Int("threads", 1, "GOMAXPROCS; in mode memory, the goroutines")
	trace := flags.String("trace", "", "trace file")
	out := flags.String("out", "", "file for what was noted")
	limit := flags.Float64("limit", 60, "seconds after which unfinished requests are given up")
	fd := flags.Int("fd", -1, "listening socket")
	must(flags.Parse(os.Args[2:]))
	if os.Args[1] == "memory" {
		memory(*kind, *threads)
		return
	}
	runtime.GOMAXPROCS(*threads)
	switch os.Args[1] {
	case "run":
		run(*trace, *out, *limit)
	case "web":
		web(*fd)
	case "micro":
		micro()
	case "calibrate":
		fmt.Printf("{\"per_us\": %.4f}\n", iterationsPerUs(0.5))
	default:
		must(fmt.Errorf("unknown mode %q", os.Args[1]))
	}
}

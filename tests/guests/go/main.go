// A collector that is hard on its runtime: much garbage, many calls of the host that ask for memory, goroutines, a panic.
package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"pattoo"
	"pattoo/log"
	"pattoo/state"
)

func main() { pattoo.Run(collect) }

func collect() error {
	var orders struct {
		Megabytes  int  `json:"megabytes,omitempty"`
		Calls      int  `json:"calls,omitempty"`
		Goroutines int  `json:"goroutines,omitempty"`
		Panic      bool `json:"panic,omitempty"`
	}
	if err := pattoo.StrictSettings(&orders); err != nil {
		return err
	}
	if orders.Panic {
		numbers := make([]int, 3)
		fmt.Println(numbers[len(numbers)])
	}

	workers := max(1, orders.Goroutines)
	counts := make([]int, workers)
	failures := make([]error, workers)
	var wait sync.WaitGroup
	for worker := range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			calls := max(1, orders.Calls/workers)
			counts[worker], failures[worker] = toil(worker, calls, orders.Megabytes<<20/workers/calls)
		}()
	}
	wait.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	sound := 0
	for _, count := range counts {
		sound += count
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	_, err := pattoo.Target("allocating").EmitAll(
		pattoo.Point("sound", pattoo.Integer(sound)),
		pattoo.Point("collections", pattoo.Integer(memory.NumGC)),
	)
	return err
}

// toil alternates between making garbage and asking the host for what it hands back in new memory. It counts how often that was right.
func toil(worker, calls, garbage int) (sound int, err error) {
	key := fmt.Sprint("worker ", worker)
	var kept [8]string
	for call := range calls {
		// As JSON that is read: many small things, some of which live on for a while.
		for made := 0; made < garbage; made += 1000 {
			kept[made/1000%len(kept)] = strings.Repeat("x", 999)
		}
		value := strings.Repeat(fmt.Sprint(call%10), 1000+call%7000)
		if err := state.SetString(key, value); err != nil {
			return sound, err
		}
		if worker > 0 && call == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		runtime.Gosched()
		back, found := state.GetString(key)
		refused, err := pattoo.Target("allocating").EmitAll(pattoo.Point("", pattoo.Text(value)))
		if err != nil {
			return sound, err
		}
		if found && back == value && len(refused) == 1 && refused[0].Reason.String() != "" && len(state.Keys()) > worker/1000 {
			sound++
		}
		if call == 0 {
			log.Debugf("worker %d began", worker)
		}
	}
	return sound, nil
}

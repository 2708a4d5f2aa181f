package pattoo

import (
	"fmt"
	"os"
	"runtime/debug"
	"unsafe"

	// For linkname.
	_ "unsafe"
)

// Run makes one collection: it calls collect, and tells the runtime how that ended. It is all that main does.
//
// An error is one paragraph in the operator's log. What was emitted before it is kept, since it was really measured.
func Run(collect func() error) { registered = collect }

var registered func() error

// A module of -buildmode=c-shared has a main that nothing calls. The collection does.
//
//go:linkname programMain main.main
func programMain()

// outcome is a result<_, string> as it lies in memory.
type outcome struct {
	failed        uint32
	text, textLen uint32
}

var (
	ended   outcome
	message string
)

//go:wasmexport collect
func collect() unsafe.Pointer {
	if err := run(); err != nil {
		message = err.Error()
		ended = outcome{1, uint32(uintptr(unsafe.Pointer(unsafe.StringData(message)))), uint32(len(message))}
	}
	return unsafe.Pointer(&ended)
}

func run() (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			// Lines of standard error are lines of the operator's log.
			os.Stderr.Write(debug.Stack())
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	programMain()
	if registered == nil {
		return fmt.Errorf("main did not call pattoo.Run")
	}
	return registered()
}

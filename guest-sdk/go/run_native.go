//go:build !wasip1

package pattoo

import (
	"fmt"
	"os"
)

// Run makes one collection: it calls collect, and tells the runtime how that ended. It is all that main does.
//
// An error is one paragraph in the operator's log. What was emitted before it is kept, since it was really measured.
func Run(collect func() error) {
	fmt.Fprintln(os.Stderr, "this is a collector: build it for WebAssembly, and have pattoo-wasm run it:\n\n"+
		"  GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o collector.wasm .\n"+
		"  pattoo-wasm run collector.wasm")
	os.Exit(2)
}

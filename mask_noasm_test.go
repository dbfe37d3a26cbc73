//go:build (!amd64 && !arm64) || purego || race

package websocket

var maskLevels []maskLevel // none but the code in Go

// Command reference evaluates PromQL with Prometheus' own engine.
//
// It reads one JSON object a line from standard input: first the samples and the steps, then expressions; and writes
// one JSON object a line for each expression. Numbers travel as text, so that no digit and no NaN is lost.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

type world struct {
	Start  int64    `json:"start"`
	End    int64    `json:"end"`
	Step   int64    `json:"step"`
	Series []series `json:"series"`
}

type series struct {
	Labels map[string]string `json:"labels"`
	Points []point           `json:"points"`
}

type point struct {
	T int64                     `json:"t"`
	V string                    `json:"v,omitempty"`
	H *histogram.FloatHistogram `json:"h,omitempty"`
}

type question struct {
	Expr string `json:"expr"`
}

type answer struct {
	Expr   string   `json:"expr"`
	Error  string   `json:"error,omitempty"`
	Series []series `json:"series"`
}

type sample struct {
	t int64
	f float64
	h *histogram.FloatHistogram
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return s.h }
func (s sample) Copy() chunks.Sample           { return s }
func (s sample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

type memory []storage.Series

func (m memory) Querier(_, _ int64) (storage.Querier, error) { return m, nil }
func (memory) Close() error                                  { return nil }
func (memory) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}
func (memory) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (m memory) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
next:
	for _, s := range m {
		for _, matcher := range matchers {
			if !matcher.Matches(s.Labels().Get(matcher.Name)) {
				continue next
			}
		}
		found = append(found, s)
	}
	return &set{found: found, at: -1}
}

type set struct {
	found []storage.Series
	at    int
}

func (s *set) Next() bool                        { s.at++; return s.at < len(s.found) }
func (s *set) At() storage.Series                { return s.found[s.at] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

func load(w world) memory {
	var m memory
	for _, s := range w.Series {
		var samples []chunks.Sample
		for _, p := range s.Points {
			samples = append(samples, sample{t: p.T, f: number(p.V), h: p.H})
		}
		m = append(m, storage.NewListSeries(labels.FromMap(s.Labels), samples))
	}
	sort.Slice(m, func(i, j int) bool { return labels.Compare(m[i].Labels(), m[j].Labels()) < 0 })
	return m
}

func number(text string) float64 {
	switch text {
	case "stale":
		return math.Float64frombits(0x7ff0000000000002)
	case "":
		return 0
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		fail(err)
	}
	return f
}

func ask(engine *promql.Engine, m memory, w world, expr string) answer {
	at := func(ms int64) time.Time { return time.UnixMilli(ms) }
	query, err := engine.NewRangeQuery(context.Background(), m, nil, expr, at(w.Start), at(w.End), time.Duration(w.Step)*time.Millisecond)
	if err != nil {
		return answer{Expr: expr, Error: err.Error()}
	}
	defer query.Close()
	result := query.Exec(context.Background())
	if result.Err != nil {
		return answer{Expr: expr, Error: result.Err.Error()}
	}
	matrix, err := result.Matrix()
	if err != nil {
		return answer{Expr: expr, Error: err.Error()}
	}
	out := answer{Expr: expr, Series: []series{}}
	for _, s := range matrix {
		one := series{Labels: s.Metric.Map(), Points: []point{}}
		for _, p := range s.Floats {
			one.Points = append(one.Points, point{T: p.T, V: strconv.FormatFloat(p.F, 'g', -1, 64)})
		}
		for _, p := range s.Histograms {
			one.Points = append(one.Points, point{T: p.T, H: p.H})
		}
		out.Series = append(out.Series, one)
	}
	return out
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "reference:", err)
	os.Exit(2)
}

func main() {
	engine := promql.NewEngine(promql.EngineOpts{
		Logger:                   slog.New(slog.NewTextHandler(io.Discard, nil)),
		MaxSamples:               50_000_000,
		Timeout:                  time.Minute,
		LookbackDelta:            5 * time.Minute,
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
		Parser:                   parser.NewParser(parser.Options{EnableExperimentalFunctions: true}),
	})
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	var w world
	if err := decoder.Decode(&w); err != nil {
		fail(err)
	}
	m := load(w)
	for {
		var q question
		if err := decoder.Decode(&q); err == io.EOF {
			return
		} else if err != nil {
			fail(err)
		}
		if err := encoder.Encode(ask(engine, m, w, q.Expr)); err != nil {
			fail(err)
		}
	}
}

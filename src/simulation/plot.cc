#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "simulation/report.h"

namespace mayfly::simulation {
namespace {

struct Panel {
  double left, top, width, height;
};

// Maps values to the panel's pixels.
struct Axis {
  double low, high;
  bool log;
  double at(double value) const {
    if (!log) return (value - low) / (high - low);
    return std::log(std::max(value, low) / low) / std::log(high / low);
  }
  // 1, 2, 5 times powers of ten on a logarithmic axis; about six round steps else.
  std::vector<double> ticks() const {
    std::vector<double> values;
    if (log) {
      for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10)
        for (const double step : {1.0, 2.0, 5.0})
          if (decade * step >= low * 0.999 && decade * step <= high * 1.001)
            values.push_back(decade * step);
      return values;
    }
    const double raw = (high - low) / 6, power = std::pow(10, std::floor(std::log10(raw)));
    double step = power;
    for (const double times : {1.0, 2.0, 3.0, 5.0, 10.0})
      if (step = power * times; step >= raw) break;
    for (double value = std::ceil(low / step) * step; value <= high * 1.001; value += step)
      values.push_back(value);
    return values;
  }
};

const char* colour(const std::string& policy) {
  if (policy == "fixed") return "#b3402a";
  return policy == "hybrid" ? "#7a6ff0" : "#1a7f5a";
}

std::string words(double x, double y, const std::string& text, const char* anchor,
                  const char* extra = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" {}>{}</text>\n", x, y,
                     anchor, extra, text);
}

std::string frame(const Panel& p, const Axis& x, const Axis& y, const std::string& title,
                  const std::string& x_name, const std::string& y_name) {
  std::string svg = fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"none\" "
      "stroke=\"#888\"/>\n",
      p.left, p.top, p.width, p.height);
  for (const double value : x.ticks()) {
    const double px = p.left + p.width * x.at(value);
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>\n", px,
        p.top, p.top + p.height);
    svg += words(px, p.top + p.height + 16, fmt::format("{:.3g}", value), "middle");
  }
  for (const double value : y.ticks()) {
    const double py = p.top + p.height * (1 - y.at(value));
    svg += fmt::format(
        "<line x1=\"{1:.1f}\" x2=\"{2:.1f}\" y1=\"{0:.1f}\" y2=\"{0:.1f}\" stroke=\"#ddd\"/>\n", py,
        p.left, p.left + p.width);
    svg += words(p.left - 6, py + 4, fmt::format("{:.4g}", value), "end");
  }
  svg += words(p.left + p.width / 2, p.top - 12, title, "middle", "font-weight=\"bold\"");
  svg += words(p.left + p.width / 2, p.top + p.height + 36, x_name, "middle");
  const double middle = p.top + p.height / 2;
  const std::string turn =
      fmt::format("transform=\"rotate(-90 {:.1f} {:.1f})\"", p.left - 52, middle);
  return svg + words(p.left - 52, middle, y_name, "middle", turn.c_str());
}

std::string polyline(const std::vector<std::pair<double, double>>& points, const char* stroke,
                     const char* extra) {
  std::string list;
  for (const auto& [x, y] : points) list += fmt::format("{:.1f},{:.1f} ", x, y);
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" {}/>\n", list, stroke,
                     extra);
}

std::string against_slowdown(const Panel& p, const std::vector<Outcome>& outcomes) {
  double least = 1e300, most = 0, slowest = 1.1;
  for (const auto& outcome : outcomes) {
    least = std::min(least, std::max(1e-3, outcome.held_gb()));
    most = std::max(most, outcome.held_gb());
    slowest = std::max({slowest, outcome.slowdown_p99, outcome.slowdown_p99_capped});
  }
  const Axis x{least / 1.5, std::max(most, least) * 1.5, true}, y{1, slowest * 1.2, true};
  std::string svg = frame(p, x, y, "p99 slowdown against memory held", "memory held, GB (mean)",
                          "p99 slowdown: of calls (dots), hot cut (rings)");
  for (const char* policy : {"fixed", "hybrid", "mayfly"}) {
    std::vector<const Outcome*> own;
    for (const auto& outcome : outcomes)
      if (outcome.policy == policy) own.push_back(&outcome);
    std::sort(own.begin(), own.end(),
              [](const Outcome* a, const Outcome* b) { return a->held_gb() < b->held_gb(); });
    std::vector<std::pair<double, double>> solid, dashed;
    for (const Outcome* outcome : own) {
      const double px = p.left + p.width * x.at(outcome->held_gb());
      const auto py = [&](double slowdown) { return p.top + p.height * (1 - y.at(slowdown)); };
      solid.emplace_back(px, py(outcome->slowdown_p99));
      dashed.emplace_back(px, py(outcome->slowdown_p99_capped));
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", px,
                         solid.back().second, colour(policy));
      svg += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"white\" stroke=\"{}\"/>\n", px,
          dashed.back().second, colour(policy));
      svg += words(px + 6, dashed.back().second - 6, outcome->label, "start",
                   fmt::format("fill=\"{}\"", colour(policy)).c_str());
    }
    svg += polyline(solid, colour(policy), "stroke-width=\"1.5\"");
    svg += polyline(dashed, colour(policy), "stroke-dasharray=\"4 3\"");
  }
  return svg;
}

// The first outcome of each policy.
std::string over_time(const Panel& p, const std::vector<Outcome>& outcomes) {
  std::vector<const Outcome*> shown;
  double hours = 0, most = 0;
  for (const auto& outcome : outcomes) {
    const bool again = std::any_of(shown.begin(), shown.end(),
                                   [&](const Outcome* o) { return o->policy == outcome.policy; });
    if (again) continue;
    shown.push_back(&outcome);
    hours = std::max(hours, outcome.hours);
    for (const auto& sample : outcome.series)
      most = std::max(most, sample.idle_gb + sample.templates_gb);
  }
  const Axis x{0, std::max(hours, 1e-3), false}, y{0, std::max(most, 1e-3) * 1.1, false};
  std::string svg = frame(p, x, y, "Memory held over time", "hours", "GB, idle and templates");
  double line = p.top + 18;
  for (const Outcome* outcome : shown) {
    std::vector<std::pair<double, double>> points;
    for (const auto& sample : outcome->series)
      points.emplace_back(p.left + p.width * x.at(sample.hour),
                          p.top + p.height * (1 - y.at(sample.idle_gb + sample.templates_gb)));
    svg += polyline(points, colour(outcome->policy), "stroke-width=\"1.5\"");
    svg += words(p.left + p.width - 8, line, outcome->label, "end",
                 fmt::format("fill=\"{}\"", colour(outcome->policy)).c_str());
    line += 16;
  }
  return svg;
}

}  // namespace

std::string plot_svg(const Experiment& experiment, const std::vector<Outcome>& outcomes) {
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"520\" viewBox=\"0 0 1200 "
      "520\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"1200\" height=\"520\" "
      "fill=\"white\"/>\n";
  svg += against_slowdown({80, 50, 480, 380}, outcomes);
  svg += over_time({680, 50, 480, 380}, outcomes);
  svg += words(600, 500,
               fmt::format("mayfly simulate: {} functions, {} nodes, {} hours, seed {}",
                           experiment.load.functions, experiment.cluster.nodes,
                           experiment.load.hours, experiment.load.seed),
               "middle", "fill=\"#555\"");
  return svg + "</svg>\n";
}

}  // namespace mayfly::simulation

#pragma once
// The shape of a real load, as published: cumulative distributions of the Azure Functions trace of
// 2019. The source and how it was thinned stand in the .cc. Thread-safe: constant.

#include <span>

namespace mayfly::simulation::azure_2019 {

struct CdfPoint {
  double value, share;  // share of the population with at most this value
};

std::span<const CdfPoint> calls_a_day();          // of an application
std::span<const CdfPoint> run_ms();               // mean of a function
std::span<const CdfPoint> memory_mb();            // of an application
std::span<const CdfPoint> functions_of_an_app();  // count
std::span<const CdfPoint> gap_cv();               // of an application's inter-arrival times

// The value at share u of [0, 1]; between points along the logarithm of the value, of which
// everything below `least` is taken to be `least`.
double quantile(std::span<const CdfPoint> cdf, double u, double least);
// The inverse of it.
double share_below(std::span<const CdfPoint> cdf, double value, double least);

}  // namespace mayfly::simulation::azure_2019

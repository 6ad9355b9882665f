#include "simulation/azure_2019.h"

#include <algorithm>
#include <cmath>
#include <iterator>

// Cumulative distributions of the public Azure Functions 2019 trace (Microsoft Azure,
// AzurePublicDataset, CC-BY 4.0; Shahrad et al., USENIX ATC 2020), as SJTU-IPADS ServerlessBench
// publishes them (Testcase11). Thinned to the points between which a straight line over the
// logarithm of the value stays within 0.4 % of the published curve.

namespace mayfly::simulation::azure_2019 {
namespace {

constexpr CdfPoint kCalls[] = {
    {1, 0.138667},           {2, 0.232595},           {3, 0.27239},
    {13, 0.378924},          {23, 0.410975},          {26, 0.434086},
    {44, 0.46177},           {51, 0.478001},          {95, 0.514872},
    {97, 0.524883},          {100, 0.528961},         {140, 0.550095},
    {145, 0.559611},         {159, 0.567274},         {284, 0.608635},
    {287, 0.610653},         {288, 0.624207},         {289, 0.654321},
    {291, 0.657658},         {358, 0.678051},         {385, 0.691522},
    {476, 0.705817},         {480, 0.712861},         {481, 0.730988},
    {484, 0.731977},         {570, 0.742976},         {596, 0.751916},
    {712, 0.761432},         {727, 0.768106},         {1431, 0.809137},
    {1439, 0.811403},        {1441, 0.829777},        {1442, 0.831219},
    {1450, 0.833031},        {1751, 0.848974},        {2831, 0.873321},
    {2889, 0.879501},        {3170, 0.884527},        {8642, 0.925435},
    {17910, 0.947722},       {85907, 0.975735},       {87763, 0.978207},
    {411931, 0.99139},       {1.56662e+06, 0.997157}, {2.19464e+06, 0.997981},
    {4.28688e+06, 0.998805}, {1.374e+07, 0.999629},   {1.28593e+08, 1}};
constexpr CdfPoint kRunMs[] = {
    {0, 0.032489},      {5, 0.047504},      {10, 0.063203},     {25, 0.115809},
    {40, 0.149527},     {80, 0.204861},     {115, 0.243313},    {415, 0.419847},
    {790, 0.527473},    {1375, 0.632722},   {1825, 0.678325},   {2985, 0.744915},
    {6080, 0.823648},   {10525, 0.870037},  {15735, 0.897044},  {33415, 0.939805},
    {62620, 0.964701},  {130280, 0.98316},  {292530, 0.992773}, {300050, 0.993612},
    {300235, 0.995238}, {300715, 0.996038}, {324375, 0.996839}, {375075, 0.99764},
    {600090, 0.999253}, {1.57158e+06, 1}};
constexpr CdfPoint kMemoryMb[] = {
    {0, 0},           {60, 0.000242},   {85, 0.007751},   {100, 0.060703},  {105, 0.091611},
    {110, 0.160186},  {115, 0.244361},  {125, 0.388852},  {130, 0.443298},  {135, 0.480579},
    {140, 0.507019},  {160, 0.574119},  {170, 0.617048},  {175, 0.656833},  {185, 0.769251},
    {190, 0.811498},  {200, 0.876766},  {205, 0.897413},  {220, 0.932609},  {250, 0.956849},
    {345, 0.983154},  {370, 0.986737},  {435, 0.991886},  {510, 0.994831},  {590, 0.996499},
    {720, 0.997824},  {930, 0.999284},  {1000, 0.99957},  {1125, 0.999768}, {1150, 0.99984},
    {1260, 0.999927}, {1300, 0.999932}, {1340, 0.999952}, {1360, 0.999956}, {1365, 0.999976},
    {1380, 0.99999},  {1400, 0.999995}, {1460, 1}};
constexpr CdfPoint kFunctions[] = {
    {1, 0.503252},   {2, 0.72372},    {3, 0.819163},   {5, 0.905496},   {6, 0.927183},
    {10, 0.967455},  {14, 0.982489},  {21, 0.992039},  {25, 0.994631},  {31, 0.996643},
    {37, 0.997733},  {54, 0.998864},  {57, 0.999177},  {70, 0.999593},  {76, 0.999667},
    {90, 0.999691},  {92, 0.999733},  {109, 0.999794}, {131, 0.999827}, {134, 0.999852},
    {144, 0.999856}, {145, 0.999897}, {160, 0.999938}, {234, 0.999947}, {278, 0.999963},
    {286, 0.999979}, {287, 0.999984}, {289, 0.999988}, {292, 0.999992}, {297, 0.999996},
    {298, 1}};
constexpr CdfPoint kCv[] = {
    {0, 0.226678},        {0.006054, 0.232019}, {0.008108, 0.234474}, {0.009076, 0.236148},
    {0.010001, 0.237204}, {0.01501, 0.24077},   {0.035053, 0.264584}, {0.052017, 0.28164},
    {0.090044, 0.313181}, {0.144004, 0.358074}, {0.280025, 0.411165}, {0.330007, 0.428916},
    {0.733086, 0.546032}, {0.929008, 0.597363}, {1.00405, 0.621071},  {1.35908, 0.675726},
    {2.44302, 0.794689},  {3.85402, 0.869596},  {5.48021, 0.909697},  {7.87073, 0.940576},
    {12.2175, 0.9647},    {16.8987, 0.976735},  {27.0763, 0.98716},   {36.5154, 0.991166},
    {53.7601, 0.994371},  {84.0795, 0.996799},  {142.33, 0.9984},     {211.383, 0.9992},
    {1448.42, 1}};

}  // namespace

std::span<const CdfPoint> calls_a_day() {
  return kCalls;
}
std::span<const CdfPoint> run_ms() {
  return kRunMs;
}
std::span<const CdfPoint> memory_mb() {
  return kMemoryMb;
}
std::span<const CdfPoint> functions_of_an_app() {
  return kFunctions;
}
std::span<const CdfPoint> gap_cv() {
  return kCv;
}

double quantile(std::span<const CdfPoint> cdf, double u, double least) {
  const auto at = std::find_if(cdf.begin(), cdf.end(), [&](const auto& p) { return p.share >= u; });
  if (at == cdf.end()) return cdf.back().value;
  if (at == cdf.begin()) return at->value;
  const auto& above = *at;
  const auto& below = *std::prev(at);
  const double part = (u - below.share) / (above.share - below.share);
  const double low = std::log(std::max(below.value, least));
  const double high = std::log(std::max(above.value, least));
  return std::exp(low + part * (high - low));
}

double share_below(std::span<const CdfPoint> cdf, double value, double least) {
  const auto above_value = [&](const auto& p) { return p.value > value; };
  const auto at = std::find_if(cdf.begin(), cdf.end(), above_value);
  if (at == cdf.end()) return 1;
  if (at == cdf.begin()) return 0;
  const auto& below = *std::prev(at);
  const double low = std::log(std::max(below.value, least));
  const double high = std::log(std::max(at->value, least));
  if (high <= low) return below.share;
  const double part = (std::log(std::max(value, least)) - low) / (high - low);
  return below.share + part * (at->share - below.share);
}

}  // namespace mayfly::simulation::azure_2019

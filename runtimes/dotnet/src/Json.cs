using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Mayfly {

/// It is not JSON, or not what is wanted.
sealed class JsonException : Exception {
  public JsonException(string message) : base(message) {}
}

/// Reads JSON: objects as Dictionary, arrays as List, text as string, numbers as long, ulong or double.
sealed class Json {
  public const int Deepest = 512;
  readonly string text;
  int at, depth;

  Json(string text) { this.text = text; }

  public static object Parse(byte[] bytes) {
    string text;
    try {
      text = new UTF8Encoding(false, true).GetString(bytes);
    } catch (ArgumentException) {
      throw new JsonException("it is not UTF-8");
    }
    var json = new Json(text);
    object value = json.Value();
    json.Space();
    if (json.at < text.Length) throw json.Bad("unexpected text after the value");
    return value;
  }

  JsonException Bad(string what) { return new JsonException(what + ", at character " + at); }

  char Next() {
    if (at >= text.Length) throw Bad("unexpected end");
    return text[at];
  }

  void Space() {
    while (at < text.Length && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r')) at++;
  }

  object Value() {
    Space();
    switch (Next()) {
      case '{': return Object();
      case '[': return Array();
      case '"': return String();
      case 't': return Word("true", true);
      case 'f': return Word("false", false);
      case 'n': return Word("null", null);
      default: return Number();
    }
  }

  object Word(string word, object value) {
    if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0) throw Bad("unexpected character");
    at += word.Length;
    return value;
  }

  Dictionary<string, object> Object() {
    if (++depth > Deepest) throw Bad("nested too deeply");
    var values = new Dictionary<string, object>();
    at++;
    Space();
    bool more = Next() != '}';
    if (!more) at++;
    while (more) {
      Space();
      if (Next() != '"') throw Bad("expected a name");
      string name = String();
      Space();
      if (Next() != ':') throw Bad("expected :");
      at++;
      values[name] = Value();
      more = More('}');
    }
    depth--;
    return values;
  }

  List<object> Array() {
    if (++depth > Deepest) throw Bad("nested too deeply");
    var values = new List<object>();
    at++;
    Space();
    bool more = Next() != ']';
    if (!more) at++;
    while (more) {
      values.Add(Value());
      more = More(']');
    }
    depth--;
    return values;
  }

  bool More(char end) {
    Space();
    char next = Next();
    if (next != ',' && next != end) throw Bad("expected , or " + end);
    at++;
    return next == ',';
  }

  string String() {
    int start = ++at;
    StringBuilder text = null;
    while (true) {
      char c = Next();
      if (c == '"') break;
      if (c < 0x20) throw Bad("a control character in a text");
      if (c != '\\') {
        at++;
        continue;
      }
      if (text == null) text = new StringBuilder();
      text.Append(this.text, start, at - start);
      at++;
      text.Append(Escape());
      start = at;
    }
    string rest = this.text.Substring(start, at++ - start);
    return text == null ? rest : text.Append(rest).ToString();
  }

  char Escape() {
    char c = Next();
    at++;
    int simple = "\"\\/bfnrt".IndexOf(c);
    if (simple >= 0) return "\"\\/\b\f\n\r\t"[simple];
    int code;
    if (c != 'u' || at + 4 > text.Length ||
        !int.TryParse(text.Substring(at, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out code))
      throw Bad("bad escape");
    at += 4;
    return (char)code;
  }

  object Number() {
    int start = at;
    if (Next() == '-') at++;
    int first = at;
    Digits();
    if (text[first] == '0' && at - first > 1) throw Bad("a number with a leading zero");
    bool whole = true;
    if (at < text.Length && text[at] == '.') {
      whole = false;
      at++;
      Digits();
    }
    if (at < text.Length && (text[at] == 'e' || text[at] == 'E')) {
      whole = false;
      at++;
      if (at < text.Length && (text[at] == '+' || text[at] == '-')) at++;
      Digits();
    }
    string digits = text.Substring(start, at - start);
    long value;
    if (whole && long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value)) return value;
    double real;
    if (!double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out real)) throw Bad("a number out of range");
    return real;
  }

  void Digits() {
    int start = at;
    while (at < text.Length && text[at] >= '0' && text[at] <= '9') at++;
    if (at == start) throw Bad(at < text.Length ? "unexpected character" : "unexpected end");
  }
}

/// Writes values as JSON: what Json reads, and objects by their public properties and fields.
sealed class JsonWriter {
  readonly StringBuilder text = new StringBuilder();
  int depth;

  public static byte[] Bytes(object value) {
    var writer = new JsonWriter();
    writer.Write(value);
    return Encoding.UTF8.GetBytes(writer.text.ToString());
  }

  void Write(object value) {
    if (value == null) text.Append("null");
    else if (value is string || value is char || value is Guid || value is Uri) Text(value.ToString());
    else if (value is bool) text.Append((bool)value ? "true" : "false");
    else if (value is Enum) text.Append(((Enum)value).ToString("D"));
    else if (value is double || value is float) Real(Convert.ToDouble(value), value);
    else if (value.GetType().IsPrimitive || value is decimal) text.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
    else if (value is DateTime) Text(((DateTime)value).ToString("o", CultureInfo.InvariantCulture).Replace(".0000000", ""));
    else if (value is DateTimeOffset) Text(((DateTimeOffset)value).ToString("o", CultureInfo.InvariantCulture));
    else if (value is TimeSpan) Text(value.ToString());
    else if (value is byte[]) Text(Convert.ToBase64String((byte[])value));
    else {
      if (++depth > Json.Deepest) throw new JsonException("it is nested too deeply, or holds itself");
      if (value is IDictionary) Members(Pairs((IDictionary)value));
      else if (value is IEnumerable) Items((IEnumerable)value);
      else Members(Binder.Read(value));
      depth--;
    }
  }

  static IEnumerable<KeyValuePair<string, object>> Pairs(IDictionary values) {
    foreach (DictionaryEntry entry in values) yield return new KeyValuePair<string, object>(entry.Key.ToString(), entry.Value);
  }

  void Real(double number, object value) {
    if (double.IsNaN(number) || double.IsInfinity(number)) throw new JsonException(number + " is no JSON number");
    text.Append(((IFormattable)value).ToString("R", CultureInfo.InvariantCulture));
  }

  void Members(IEnumerable<KeyValuePair<string, object>> values) {
    char separator = '{';
    foreach (var pair in values) {
      text.Append(separator);
      Text(pair.Key);
      text.Append(':');
      Write(pair.Value);
      separator = ',';
    }
    text.Append(separator == '{' ? "{}" : "}");
  }

  void Items(IEnumerable values) {
    char separator = '[';
    foreach (object value in values) {
      text.Append(separator);
      Write(value);
      separator = ',';
    }
    text.Append(separator == '[' ? "[]" : "]");
  }

  void Text(string value) {
    text.Append('"');
    int from = 0;
    for (int i = 0; i < value.Length; i++) {
      char c = value[i];
      if (c >= 0x20 && c != '"' && c != '\\' && !IsLone(value, i)) continue;
      text.Append(value, from, i - from);
      from = i + 1;
      int simple = "\"\\\b\f\n\r\t".IndexOf(c);
      if (simple >= 0) text.Append('\\').Append("\"\\bfnrt"[simple]);
      else text.Append("\\u").Append(((int)c).ToString("x4"));
    }
    text.Append(value, from, value.Length - from).Append('"');
  }

  static bool IsLone(string value, int i) {
    if (!char.IsSurrogate(value[i])) return false;
    if (char.IsHighSurrogate(value[i])) return i + 1 >= value.Length || !char.IsLowSurrogate(value[i + 1]);
    return i == 0 || !char.IsHighSurrogate(value[i - 1]);
  }
}
}

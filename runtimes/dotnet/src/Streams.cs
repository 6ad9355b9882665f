using System;
using System.Collections;
using System.Collections.Generic;
using System.Linq;
using System.Text;

namespace Mayfly {

/// Answers that are streamed: what a handler may return besides a JSON value. An IEnumerator: its items are
/// the body; a first item that is a dictionary with statusCode is the head. A dictionary with statusCode
/// whose body is an IEnumerator: head and body.
static class Streams {
  public static IEnumerator Of(object result) {
    var items = result as IEnumerator;
    if (items != null) return items;
    return IsHead(result) ? ((IDictionary)result)["body"] as IEnumerator : null;
  }

  public static bool IsHead(object value) {
    var map = value as IDictionary;
    return map != null && map.Contains("statusCode");
  }

  /// Strings as UTF-8, bytes as they are, anything else as a line of JSON.
  public static byte[] Bytes(object item) {
    var bytes = item as byte[];
    if (bytes != null) return bytes;
    return item is string ? Encoding.UTF8.GetBytes((string)item) : JsonWriter.Bytes(item).Concat(new[] {(byte)'\n'}).ToArray();
  }

  public static byte[] Head(IDictionary head, object first) {
    var fields = new List<string[]>();
    var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
    head = head ?? new Hashtable();
    Add(head["multiValueHeaders"], names, new HashSet<string>(), fields);
    Add(head["headers"], names, new HashSet<string>(names, StringComparer.OrdinalIgnoreCase), fields);
    var cookies = head["cookies"] as IEnumerable;
    if (cookies != null)
      foreach (object cookie in cookies) fields.Add(new[] {"set-cookie", cookie.ToString()});
    if (!names.Contains("content-type"))
      fields.Add(new[] {"content-type", first is string ? "text/plain; charset=utf-8" : "application/octet-stream"});
    int status = Convert.ToInt32(head["statusCode"] ?? 200);
    return JsonWriter.Bytes(new Dictionary<string, object> {{"status", status}, {"headers", fields}});
  }

  static void Add(object headers, HashSet<string> names, HashSet<string> taken, List<string[]> fields) {
    var map = headers as IDictionary;
    if (map == null) return;
    foreach (DictionaryEntry header in map) {
      string name = header.Key.ToString();
      if (taken.Contains(name)) continue;
      names.Add(name);
      var values = header.Value is string ? new[] {header.Value} : header.Value as IEnumerable ?? new[] {header.Value};
      foreach (object value in values) fields.Add(new[] {name, Convert.ToString(value)});
    }
  }
}
}
